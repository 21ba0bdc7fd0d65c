import { parseJson } from '../../base/json.ts';
import { stringEnd, type StringState } from './json-string-end.ts';

/**
 * Picks a few members at the top of a JSON object out of its bytes as they pass, however they are cut, without holding the rest.
 * What is not JSON gives nothing. Of a repeated member the last one counts, as with `JSON.parse`.
 */
export interface JsonPicker {
  readonly push: (piece: Buffer) => void;
  readonly values: () => ReadonlyMap<string, unknown>;
}

const quote = 0x22;
const longestName = 256;
const nesting = new Map([
  [0x7b, 1],
  [0x5b, 1],
  [0x7d, -1],
  [0x5d, -1],
]);

interface State extends StringState {
  depth: number;
  /** the next string at the top is a name */
  awaitsName: boolean;
  /** parts of the name or value that is being kept; `undefined`: nothing is */
  kept: Buffer[] | undefined;
  keptBytes: number;
  isName: boolean;
  name: string | undefined;
}

/** `maxValueBytes`: a longer value is not kept, but for its name: blanks alone may make it so. */
export function createJsonPicker(names: readonly string[], maxValueBytes = 65_536): JsonPicker {
  const wanted = new Set(names);
  const found = new Map<string, unknown>();
  const state: State = {
    depth: 0,
    inString: false,
    isEscaped: false,
    awaitsName: false,
    kept: undefined,
    keptBytes: 0,
    isName: false,
    name: undefined,
  };
  const begin = (isName: boolean): void => {
    state.kept = [];
    state.keptBytes = 0;
    state.isName = isName;
  };
  const keep = (bytes: Buffer): void => {
    if (state.kept === undefined || bytes.length === 0) {
      return;
    }
    state.keptBytes += bytes.length;
    if (state.keptBytes > (state.isName ? longestName : maxValueBytes)) {
      if (!state.isName && state.name !== undefined) {
        found.set(state.name, undefined);
      }
      state.kept = undefined;
      return;
    }
    state.kept.push(Buffer.from(bytes));
  };
  const end = (): void => {
    const text = state.kept === undefined ? undefined : Buffer.concat(state.kept).toString('utf8');
    const value = text === undefined ? undefined : parseJson(text);
    if (state.isName) {
      state.name = typeof value === 'string' ? value : undefined;
    } else if (state.name !== undefined && value !== undefined) {
      found.set(state.name, value);
    }
    state.kept = undefined;
    state.isName = false;
  };
  return {
    push: (piece) => walk(piece, state, { begin, keep, end, isWanted: (name) => name !== undefined && wanted.has(name) }),
    values: () => found,
  };
}

interface Actions {
  readonly begin: (isName: boolean) => void;
  readonly keep: (bytes: Buffer) => void;
  readonly end: () => void;
  readonly isWanted: (name: string | undefined) => boolean;
}

function walk(piece: Buffer, state: State, actions: Actions): void {
  let from = 0;
  for (let at = 0; at < piece.length;) {
    if (state.inString) {
      at = stringEnd(piece, at, state);
      if (!state.inString && state.isName) {
        actions.keep(piece.subarray(from, at));
        actions.end();
      }
      continue;
    }
    const byte = piece[at] ?? 0;
    if (isEndOfValue(byte, state)) {
      actions.keep(piece.subarray(from, at));
      actions.end();
    }
    from = step(byte, state, actions) ? at + (byte === quote ? 0 : 1) : from;
    at += 1;
  }
  actions.keep(piece.subarray(from));
}

function isEndOfValue(byte: number, { kept, isName, depth }: State): boolean {
  return kept !== undefined && !isName && depth === 1 && (byte === 0x2c || byte === 0x7d);
}

/** One byte outside strings; whether something begins to be kept with it. */
function step(byte: number, state: State, { begin, isWanted }: Actions): boolean {
  state.inString = byte === quote;
  state.depth += nesting.get(byte) ?? 0;
  if (state.depth !== 1) {
    return false;
  }
  if (byte === quote && state.awaitsName) {
    state.awaitsName = false;
    begin(true);
    return true;
  }
  state.awaitsName ||= byte === 0x2c || byte === 0x7b;
  if (byte === 0x3a && isWanted(state.name) && state.kept === undefined) {
    begin(false);
    return true;
  }
  return false;
}
