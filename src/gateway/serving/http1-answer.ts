import { STATUS_CODES } from 'node:http';

import type { ContentOptions } from '../bodies/written-content.ts';
import { tokensOf, valuesOf, type Field } from '../http/fields.ts';
import type { ReadRequest } from '../http/request-reader.ts';
import { fieldLines } from '../http/request-text.ts';

/** The head of an answer to an HTTP/1.1 caller, and how the end of its content is marked. */
export interface AnswerHead {
  readonly head: string;
  readonly framing: ContentOptions['framing'];
  /** the connection takes another request behind it */
  readonly isKept: boolean;
}

export interface Answered {
  readonly request: ReadRequest;
  readonly status: number;
  readonly fields: readonly Field[];
  /** the connection may take another request, as far as this side goes */
  readonly mayKeep: boolean;
  readonly nowMs: number;
}

/** Of an unused connection to a caller. */
export const keepAliveMs = 600_000;

/** Ours to say, for this connection. */
const own: ReadonlySet<string> = new Set(['connection', 'keep-alive', 'transfer-encoding']);

/** Throws, rather than to write what could be read in two ways. */
export function answerHead({ request, status, fields, mayKeep, nowMs }: Answered): AnswerHead {
  const framing = framingOf(request, status, fields);
  const isKept = mayKeep && request.isKept && framing !== 'until-end' && !tokensOf(fields, 'connection').includes('close');
  const kept = fields.filter(([name]) => !own.has(name));
  const date = fields.some(([name]) => name === 'date') ? '' : `date: ${new Date(nowMs).toUTCString()}\r\n`;
  const coding = framing === 'chunked' ? 'transfer-encoding: chunked\r\n' : '';
  const connection = isKept ? `keep-alive: timeout=${keepAliveMs / 1000}\r\nconnection: keep-alive\r\n` : 'connection: close\r\n';
  return {
    head: `HTTP/1.1 ${status} ${phraseFor(status, fields)}\r\n${fieldLines(kept)}${date}${coding}${connection}\r\n`,
    framing,
    isKept,
  };
}

function framingOf({ method, version }: ReadRequest, status: number, fields: readonly Field[]): AnswerHead['framing'] {
  if (method === 'HEAD' || status === 204 || status === 304) {
    return 'none';
  }
  const lengths = valuesOf(fields, 'content-length');
  const [length] = lengths;
  if (length === undefined) {
    return version === '1.0' ? 'until-end' : 'chunked';
  }
  if (lengths.length > 1 || !/^[0-9]{1,15}$/.test(length)) {
    throw new Error('the length of the content has more than one meaning');
  }
  return { length: Number(length) };
}

/** The code is one of ours: no upstream may say it (`forwardedResponseFields`). pip, wget and apt show of a denial the words behind the number and nothing else. */
function phraseFor(status: number, answer: readonly Field[]): string {
  const [code] = valuesOf(answer, 'x-casemate-denied');
  const usual = STATUS_CODES[status] ?? '';
  return code === undefined ? usual : `${usual} (casemate: ${code})`;
}
