import { parseJson } from '../../base/json.ts';
import type { FieldScan } from './form-scan.ts';
import { skipSpace } from './json-ranges.ts';
import { stringEnd, type StringState } from './json-string-end.ts';

/** Finds certain members at the top of a JSON object as it arrives, read as the most lenient server would. */

/** A name or a value that matters is shorter, though each letter of it be written as an escape. */
const mostBytes = 512;
const quote = 0x22;
const backslash = 0x5c;
const comma = 0x2c;
const colon = 0x3a;
const openBrace = 0x7b;
/** Blanks, and the mark of the order of bytes in UTF-8. */
const beforeText: ReadonlySet<number> = new Set([0x20, 0x09, 0x0a, 0x0d, 0xef, 0xbb, 0xbf]);
const nesting = new Int8Array(256);
for (const [letters, deeper] of [
  ['{[', 1],
  ['}]', -1],
] as const) {
  for (const letter of Buffer.from(letters)) {
    nesting[letter] = deeper;
  }
}

interface State extends StringState {
  depth: number;
  awaitsName: boolean;
}

/** Like `createFormScan`. `isDeclared`: it says that it is JSON; else it is one where it begins with an object. */
export function createJsonMemberScan(
  scan: FieldScan,
  { isDeclared = true }: { readonly isDeclared?: boolean } = {},
): (data: Buffer, isLast: boolean) => number {
  const state: State = { inString: false, isEscaped: false, depth: 0, awaitsName: false };
  let isObject = isDeclared ? true : undefined;
  return (data, isLast) => {
    isObject ??= beginsObject(data);
    if (isObject === false) {
      return data.length;
    }
    for (let at = 0; at < data.length;) {
      if (state.inString) {
        at = stringEnd(data, at, state);
        continue;
      }
      const byte = data[at] ?? 0;
      const said = isNameAt(byte, state) ? look(data, at, { isLast, ...scan }) : 'passed';
      if (said !== 'passed') {
        return said === 'wait' ? at : -1;
      }
      step(byte, state);
      at += 1;
    }
    return data.length;
  };
}

/** `undefined`: nothing but blanks, and what may stand before a text in Unicode, is there yet. */
function beginsObject(data: Buffer): boolean | undefined {
  for (const byte of data) {
    if (!beforeText.has(byte)) {
      return byte === openBrace;
    }
  }
  return undefined;
}

function isNameAt(byte: number, { depth, awaitsName }: State): boolean {
  return byte === quote && depth === 1 && awaitsName;
}

/** One byte outside strings. */
function step(byte: number, state: State): void {
  if (byte === quote) {
    state.inString = true;
    state.awaitsName &&= state.depth !== 1;
    return;
  }
  const deeper = nesting[byte] ?? 0;
  state.depth += deeper;
  state.awaitsName ||= state.depth === 1 && (byte === comma || deeper === 1);
}

type Verdict = 'wait' | 'refused' | 'passed';
type Look = FieldScan & { readonly isLast: boolean };

/** At what may be a name. */
function look(data: Buffer, at: number, options: Look): Verdict {
  const name = textAt(data, at);
  if (name === undefined) {
    return options.isLast || data.length - at > mostBytes ? 'passed' : 'wait';
  }
  if (!options.isSought(name.text)) {
    return 'passed';
  }
  const said = verdict(data, name, options);
  return said === 'wait' && data.length - at > 4 * mostBytes ? 'refused' : said;
}

/** Behind a name that is sought. */
function verdict(data: Buffer, name: Text, { isLast, isRefused }: Look): Verdict {
  const sign = skipSpace(data, name.end);
  if (sign < data.length && data[sign] !== colon) {
    return 'passed';
  }
  const start = skipSpace(data, sign + 1);
  const value = textAt(data, start);
  const isCut = start >= data.length || (data[start] === quote && data.length - start <= mostBytes);
  if (value === undefined && isCut && !isLast) {
    return 'wait';
  }
  // What is no text is taken for one by nobody, and is none of the methods.
  return isRefused(name.text, value?.text ?? '') ? 'refused' : 'passed';
}

interface Text {
  readonly text: string;
  readonly end: number;
}

/** The string that begins there, if it is short and all there. What is no JSON is read by nobody. */
function textAt(data: Buffer, at: number): Text | undefined {
  const most = Math.min(data.length, at + mostBytes);
  if (data[at] !== quote) {
    return undefined;
  }
  for (let end = at + 1; end < most; end += data[end] === backslash ? 2 : 1) {
    if (data[end] === quote) {
      const text = parseJson(data.toString('utf8', at, end + 1));
      return { text: typeof text === 'string' ? text : '', end: end + 1 };
    }
  }
  return undefined;
}
