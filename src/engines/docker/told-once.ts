import { fieldsOf, textOf, type Fields } from './read-json.ts';

/**
 * Tells which of an engine's events are new. When Podman truncates a long log (`events_logfile_max_size` in containers.conf(5),
 * 1 MB), listeners get the rest of it a second time, including our own actions, which would then count as someone else's.
 */
export interface ToldOnce {
  /** `at`: seconds and nine digits behind the point */
  readonly isNew: (event: Fields, at: string) => boolean;
}

/** Some times what is left of a log. */
const greatestKept = 8192;

/** `nowMs`: of the clock that the engine has, too. What was done before this call is told by nobody but a log that was cut. */
export function toldOnce(nowMs: () => number, most = greatestKept): ToldOnce {
  const seen = new Map<string, string>();
  let floor = engineTime(nowMs());
  const forgetOldest = (): void => {
    const oldest = [...seen].toSorted(([, one], [, other]) => (one < other ? -1 : 1)).slice(0, Math.ceil(most / 2));
    oldest.forEach(([key]) => seen.delete(key));
    const newest = oldest.at(-1)?.[1] ?? floor;
    floor = newest > floor ? newest : floor;
  };
  return {
    isNew(event, at) {
      // A clock that was set back since says nothing of what is old.
      const isOld = at <= floor && engineTime(nowMs()) >= floor;
      const key = identityOf(event, at);
      if (isOld || seen.has(key)) {
        return false;
      }
      seen.set(key, at);
      if (seen.size > most) {
        forgetOldest();
      }
      return true;
    },
  };
}

/** Seconds and nine digits behind the point, as `since` takes them; as texts they are in the order of time. */
export function engineTime(ms: number): string {
  return `${Math.floor(ms / 1000)}.${String(Math.floor(ms % 1000)).padStart(3, '0')}000000`;
}

/** In one nanosecond nothing is done to one container twice. */
function identityOf(event: Fields, at: string): string {
  const actor = fieldsOf(event['Actor']);
  const attributes = fieldsOf(actor['Attributes']);
  const words = [event['Type'], event['Action'], actor['ID'], attributes['container'], attributes['execID']].map(textOf);
  return [at, ...words].join(' ');
}
