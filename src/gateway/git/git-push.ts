import type { RefUpdate } from '../../policy/judging/git-content.ts';
import { isRefName } from '../../policy/written/read-git.ts';
import { createPktReader, type PktReader } from './git-pkt-line.ts';

/**
 * Reads the commands at the start of a push (gitprotocol-pack(5), "Reference Update Request") as the bytes arrive, and stops at
 * the pack. It accepts one grammar and repairs nothing. Signed pushes and push options are refused, because servers act on their
 * content.
 */
export type PushReading =
  | { readonly kind: 'incomplete' }
  | { readonly kind: 'unreadable'; readonly why: string }
  | { readonly kind: 'read'; readonly updates: readonly RefUpdate[]; readonly capabilities: readonly string[] };

export interface PushReader {
  readonly push: (piece: Buffer) => PushReading;
  /** what is to be made of it when nothing more comes */
  readonly end: () => PushReading;
}

const maxBytes = 1024 * 1024;
const maxUpdates = 4096;

export function createPushReader(): PushReader {
  const lines = createPktReader();
  const updates: RefUpdate[] = [];
  let capabilities: readonly string[] | undefined;
  let bytes = 0;
  let reading: PushReading = { kind: 'incomplete' };
  let isListed = false;

  const take = (data: Buffer): string | undefined => {
    const line = readCommand(data, capabilities === undefined);
    if (typeof line === 'string') {
      return line === 'shallow' && updates.length === 0 ? undefined : line;
    }
    capabilities ??= line.capabilities;
    updates.push(line.update);
    return updates.length > maxUpdates ? 'it changes too many references at once' : undefined;
  };
  const read = (hasEnded: boolean): PushReading => {
    while (!isListed) {
      const line = lines.next();
      if (line.kind === 'incomplete') {
        return hasEnded ? unreadable('it ends in the middle') : line;
      }
      const fault =
        line.kind === 'data' ? take(line.data) : line.kind === 'unreadable' ? 'its lines are not well formed' : undefined;
      if (fault !== undefined) {
        return unreadable(fault);
      }
      isListed = line.kind === 'flush';
    }
    return readBehind(lines, updates, hasEnded) ?? listed(updates, capabilities ?? []);
  };
  return {
    push(piece) {
      bytes += piece.length;
      lines.push(piece);
      if (reading.kind === 'incomplete') {
        reading = read(false);
      }
      if (reading.kind === 'incomplete' && bytes > maxBytes) {
        reading = unreadable('its list of references is too long');
      }
      return reading;
    },
    end() {
      if (reading.kind === 'incomplete') {
        reading = read(true);
      }
      return reading;
    },
  };
}

function unreadable(why: string): PushReading {
  return { kind: 'unreadable', why };
}

function listed(updates: readonly RefUpdate[], capabilities: readonly string[]): PushReading {
  const isTwice = new Set(updates.map(({ ref }) => ref)).size < updates.length;
  return isTwice ? unreadable('it names a reference twice') : { kind: 'read', updates, capabilities };
}

/** Behind the list comes a pack, or nothing where nothing is stored. `undefined`: as it should be. */
function readBehind(lines: PktReader, updates: readonly RefUpdate[], hasEnded: boolean): PushReading | undefined {
  const start = lines.ahead(4);
  if (start.length < 4 && !hasEnded) {
    return start.length > 0 || updates.some(({ change }) => change !== 'delete') ? { kind: 'incomplete' } : undefined;
  }
  const isPack = start.toString('latin1') === 'PACK';
  return start.length === 0 || (isPack && updates.length > 0) ? undefined : unreadable('what follows its list is not a pack');
}

interface Command {
  readonly update: RefUpdate;
  readonly capabilities: readonly string[];
}

const command = /^([0-9a-f]{40}|[0-9a-f]{64}) ([0-9a-f]{40}|[0-9a-f]{64}) ([^\0]+)$/;

/** A string says what is wrong, or `shallow` for a line that only tells where the caller's history ends. */
function readCommand(data: Buffer, isFirst: boolean): Command | string {
  const { text, words } = partsOf(data);
  if (/^shallow (?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(text) && words === undefined) {
    return 'shallow';
  }
  const update = readUpdate(text);
  if (update === undefined || isFirst !== (words !== undefined)) {
    return text === 'push-cert' ? 'it is signed, and what is signed cannot be judged here' : 'its list is not well formed';
  }
  const forbidden = words?.find((one) => /^push-(?:options|cert)(?:=|$)/.test(one));
  return forbidden === undefined
    ? { update, capabilities: words ?? [] }
    : `it uses ${forbidden.replace(/=.*/s, '')}, which is not carried out here`;
}

function readUpdate(text: string): RefUpdate | undefined {
  const [, before = '', after = '', ref = ''] = command.exec(text) ?? [];
  return before.length === after.length && before !== after && isRefName(ref)
    ? { ref, change: isZero(after) ? 'delete' : isZero(before) ? 'create' : 'update' }
    : undefined;
}

interface Parts {
  readonly text: string;
  /** the capabilities behind a zero byte; `undefined`: there is none */
  readonly words: readonly string[] | undefined;
}

function partsOf(data: Buffer): Parts {
  const end = data.indexOf(0);
  if (end === -1) {
    return { text: chomped(decode(data) ?? '\0'), words: undefined };
  }
  // git takes other white space between them, too, and nothing behind a second zero byte: what is not one plain line is no command.
  const spoken = chomped(data.subarray(end + 1).toString('latin1'));
  const text = /^[\x20-\x7e]*$/.test(spoken) ? decode(data.subarray(0, end)) : undefined;
  return { text: text ?? '\0', words: spoken.split(' ').filter((word) => word !== '') };
}

function chomped(text: string): string {
  return text.endsWith('\n') ? text.slice(0, -1) : text;
}

function decode(bytes: Buffer): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

function isZero(id: string): boolean {
  return /^0+$/.test(id);
}
