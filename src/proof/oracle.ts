import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

import { callerIn } from './clients/caller.ts';
import { requestText } from './clients/request-text.ts';
import { eventually } from './eventually.ts';
import { attack, control, type Row } from './finding.ts';
import { hosts } from './lab/hosts.ts';
import type { Lab } from './lab/lab.ts';
import type { Arrival, World } from './lab/world.ts';
import type { JournalRecord } from '../journal/record.ts';
import { patience } from './patience.ts';

/** What the outside of a lab saw since a moment: the only evidence that counts for what left a sandbox. */
export interface Oracle {
  /** all that reached a server, in order */
  readonly arrived: () => readonly Arrival[];
  /** of it what bears a mark: in its name, target, headers or content */
  readonly with: (mark: string) => readonly Arrival[];
  readonly requests: () => readonly Arrival[];
  /** names that were asked to be resolved */
  readonly asked: () => readonly string[];
}

export function watch(world: World): Oracle {
  const seen = world.seen.length;
  const asked = world.asked.length;
  const arrived = (): readonly Arrival[] => world.seen.slice(seen);
  return {
    arrived,
    with: (mark) => arrived().filter((arrival) => textOf(arrival).toLowerCase().includes(mark.toLowerCase())),
    requests: () => arrived().filter(({ kind }) => kind === 'request'),
    asked: () => world.asked.slice(asked),
  };
}

function textOf({ host, method, url, headers, body, trailers }: Arrival): string {
  return JSON.stringify([host, method, url, headers, body, trailers]);
}

/** As long as something that is on its way takes to arrive on one machine, and more; longer where that is busy. */
export async function settle(ms = 150): Promise<void> {
  await sleep(ms * patience());
}

/** Nothing with this mark may have arrived. */
export function unseenRow(what: string, found: readonly Arrival[]): Row {
  return attack(what, {
    expected: 'nothing outside',
    seen: found.length === 0 ? 'nothing outside' : found.map(arrivalText).join('; ').slice(0, 300),
    ok: found.length === 0,
    from: 'outside',
  });
}

/** The nearest legal thing: it must have arrived, or what did not arrive means nothing. */
export function seenRow(what: string, found: readonly Arrival[]): Row {
  return control(what, {
    expected: 'arrives outside',
    seen: found.length === 0 ? 'nothing outside' : arrivalText(found[0]),
    ok: found.length > 0,
    from: 'outside',
  });
}

export function arrivalText(arrival: Arrival | undefined): string {
  if (arrival === undefined) {
    return 'nothing';
  }
  const { server, kind, host, method, url } = arrival;
  return [kind, method, url, host === undefined ? undefined : `for ${host}`, `at ${server}`]
    .filter((word) => word !== undefined)
    .join(' ');
}

/** Records of the lab's journal from now on; what is told of may take a moment to be written, floods are summed up each second. */
export async function watchJournal({ records }: Lab): Promise<() => Promise<readonly JournalRecord[]>> {
  const before = (await records()).length;
  return async () => (await records()).slice(before);
}

/** for which like events are summed up in one record, and for which an alarm looks for its sender: `gateway/tally.ts`, `gateway/secrets/alarm.ts` */
const lateMs = 1000 + 300;

/**
 * The same where each record counts, so that none of an attack before it is among them: those that were still to be written
 * are when a request of our own is on record, which came after their time.
 */
export async function watchWholeJournal(lab: Lab): Promise<() => Promise<readonly JournalRecord[]>> {
  await sleep(lateMs);
  const mark = randomBytes(6).toString('hex');
  const { allowed: host } = hosts;
  await callerIn(lab.twin).plain({ host }, [requestText({ host, target: `/${mark}` })]);
  const isOn = async (): Promise<true | undefined> => {
    const ended = (await lab.records()).filter(({ action }) => action === 'net.exchange');
    return ended.some(({ detail }) => detail?.['path'] === `/${mark}`) ? true : undefined;
  };
  if ((await eventually(isOn, 20_000)) === undefined) {
    throw new Error('a request of the lab is not on record');
  }
  return await watchJournal(lab);
}

/** How many effects some records stand for: of a flood, many are counted in one. */
export function effectsIn(records: readonly JournalRecord[]): number {
  return records.reduce((sum, { detail }) => sum + (typeof detail?.['repeated'] === 'number' ? detail['repeated'] : 1), 0);
}
