/**
 * What the messages of callers may hold of memory while they are read and answered. Each may be large, and a caller may have
 * many open: together they are bounded for one caller, and for all.
 */
export interface MessageRoom {
  /** of one message, which is empty at first */
  readonly enter: (caller: string) => Place;
}

export interface Place {
  /** The message has grown to so many bytes. `undefined`: there is room; else nothing more is counted. */
  readonly grow: (bytes: number) => NoRoom | undefined;
  /** It holds nothing any more, and will not; once or more. */
  readonly leave: () => void;
}

export interface NoRoom {
  readonly status: 429 | 503;
  readonly fault: string;
}

const mib = 1024 * 1024;
/** So much of each message is not counted: connections are few, and a caller with a short one waits for nobody's long ones. */
const freeBytes = 64 * 1024;

export function createMessageRoom(mostEach = 32 * mib, mostInAll = 128 * mib): MessageRoom {
  const held = new Map<string, number>();
  let all = 0;
  const add = (caller: string, bytes: number): void => {
    all += bytes;
    const left = (held.get(caller) ?? 0) + bytes;
    if (left > 0) {
      held.set(caller, left);
    } else {
      held.delete(caller);
    }
  };
  return {
    enter(caller) {
      let counted = 0;
      let isOver = false;
      return {
        grow(bytes) {
          // What is still read of one whose caller has gone.
          const more = isOver ? 0 : Math.max(0, bytes - freeBytes) - counted;
          const [status, most] = (held.get(caller) ?? 0) + more > mostEach ? [429 as const, mostEach] : [503 as const, mostInAll];
          if (more > 0 && (status === 429 || all + more > mostInAll)) {
            return { status, fault: `the messages of ${status === 429 ? 'a caller' : 'all callers'} hold ${most} bytes at most` };
          }
          counted += more;
          add(caller, more);
          return undefined;
        },
        leave() {
          add(caller, -counted);
          counted = 0;
          isOver = true;
        },
      };
    },
  };
}
