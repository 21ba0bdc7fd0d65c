import type { FieldScan } from './form-scan.ts';
import { decodedName } from './query.ts';

/** Finds certain parts of `multipart/form-data` (RFC 7578) as it arrives. */

/** What stands before the content of a part; clients write a few hundred bytes. */
const mostHeadBytes = 16 * 1024;
const mostValueBytes = 256;
const parameter = /(?:^|[;\s])name(?:\*\d*\*?)?[ \t]*=[ \t]*(?:"((?:[^"\\]|\\[\s\S])*)"|([^;\r\n]*))/gi;

/** Like `createFormScan`. `unreadable`: the type names no boundary, or more than one program would read. */
export function createMultipartScan(
  type: string,
  { isSought, isRefused }: FieldScan,
): ((data: Buffer, isLast: boolean) => number) | 'unreadable' {
  const delimiter = delimiterIn(type);
  if (delimiter === undefined) {
    return 'unreadable';
  }
  let isInHead = false;
  /** of a head that is not whole yet, which the next data begin with: bytes that are known not to end it */
  let known = 0;
  /** of the part whose content comes now, where it is sought */
  let name: string | undefined;
  /** Whether the content of such a part is yet to come, is refused, or may go on. */
  const verdict = (data: Buffer, [from, to]: readonly [number, number], isWhole: boolean): 'wait' | 'refused' | 'passed' => {
    if (!isWhole && to - from <= mostValueBytes) {
      return 'wait';
    }
    const isOther = to - from > mostValueBytes || isCoded(name) || isRefused(name ?? '', data.toString('latin1', from, to));
    return isOther ? 'refused' : 'passed';
  };
  return (data, isLast) => {
    for (let at = 0; ;) {
      if (isInHead) {
        const end = headEnd(data, at + Math.max(0, known - 2));
        known = end === -1 ? data.length - at : 0;
        if (end === -1) {
          return unended(data.length, at, isLast);
        }
        name = namesIn(data.toString('latin1', at, end)).find((one) => isSought(one) || isCoded(one));
        isInHead = false;
        at = end;
      }
      const next = data.indexOf(delimiter, at);
      const content = [at, next === -1 ? data.length : next] as const;
      const said = name === undefined ? 'passed' : verdict(data, content, next !== -1 || isLast);
      if (said !== 'passed') {
        return said === 'wait' ? at : -1;
      }
      if (next === -1) {
        return isLast ? data.length : Math.max(at, data.length - delimiter.length + 1);
      }
      isInHead = true;
      at = next + delimiter.length;
    }
  };
}

/** In words of mail (RFC 2047), which Tomcat decodes: no form of a browser has such a name, and it may be any. */
function isCoded(name = ''): boolean {
  return name.includes('=?');
}

function delimiterIn(type: string): Buffer | undefined {
  const found = [...type.matchAll(/boundary[ \t]*=[ \t]*(?:"([^"\\\r\n]{1,200})"|([^\s",;\\]{1,200}))/gi)];
  const [only, ...more] = found;
  const isOne = more.length === 0 && (type.match(/boundary/gi)?.length ?? 0) === 1;
  return only === undefined || !isOne ? undefined : Buffer.from(`--${only[1] ?? only[2] ?? ''}`, 'latin1');
}

/** What becomes of the head of a part whose end is not there. */
function unended(length: number, at: number, isLast: boolean): number {
  const isLong = length - at > mostHeadBytes;
  return isLong ? -1 : isLast ? length : at;
}

/** Behind the empty line; some programs take a line feed alone for a line. */
function headEnd(data: Buffer, from: number): number {
  for (let at = data.indexOf(0x0a, from); at !== -1; at = data.indexOf(0x0a, at + 1)) {
    const next = data[at + 1] === 0x0d ? at + 2 : at + 1;
    if (data[next] === 0x0a) {
      return next + 1;
    }
  }
  return -1;
}

function namesIn(head: string): readonly string[] {
  return Array.from(head.matchAll(parameter), ([, quoted, plain = '']) =>
    decodedName((quoted ?? plain).replaceAll(/\\([\s\S])/g, '$1').replace(/^[\w-]*'[\w-]*'/, '')),
  );
}
