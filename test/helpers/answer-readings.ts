/** One answer as the gateway reads it and as Node's own parser (llhttp, strict) does, to be compared. */
import { createRequire } from 'node:module';

import { AnswerReader } from '../../src/gateway/http/answer-reader.ts';
import { fieldsOf, type Field } from '../../src/gateway/http/fields.ts';

export interface Reading {
  readonly end: 'whole' | 'incomplete' | 'fault' | 'switched';
  readonly status: number;
  readonly fields: readonly Field[];
  readonly content: string;
  readonly trailers: readonly Field[];
}

const headerBytes = 16 * 1024;

/** `isClosed`: the connection ends behind the bytes. */
export function readOurs(pieces: readonly Buffer[], method: string, isClosed: boolean): Reading {
  const told = { status: 0, fields: [] as readonly Field[], content: '', trailers: [] as readonly Field[], isDone: false };
  const reader = new AnswerReader(headerBytes, {
    information: () => undefined,
    head: ({ status, fields }) => Object.assign(told, { status, fields }),
    content: (piece) => void (told.content += piece.toString('latin1')),
    done: (trailers) => Object.assign(told, { trailers, isDone: true }),
    beyond: () => undefined,
  });
  reader.expect(method);
  const { isDone: _, ...reading } = told;
  const result = (end: Reading['end']): Reading => ({
    ...reading,
    status: told.status,
    fields: told.fields,
    content: told.content,
    trailers: told.trailers,
    end,
  });
  try {
    for (const piece of pieces) {
      reader.push(piece);
    }
  } catch {
    return told.isDone ? result('whole') : result('fault');
  }
  const isWhole = told.isDone || (isClosed && reader.end());
  return result(!isWhole ? 'incomplete' : told.status === 101 ? 'switched' : 'whole');
}

type Parser = Record<number, unknown> & {
  initialize: (type: number, resource: object, maxHeaderSize: number) => void;
  execute: (bytes: Buffer) => number | Error;
  finish: () => Error | undefined;
  free?: () => void;
};

interface ParserClass {
  new (): Parser;
  readonly RESPONSE: number;
  readonly kOnHeaders: number;
  readonly kOnHeadersComplete: number;
  readonly kOnBody: number;
  readonly kOnMessageComplete: number;
}

export function readAsNode(bytes: Buffer, method: string, isClosed: boolean): Reading {
  // Not for users of Node, and therefore without types: there is no other way to its parser alone.
  const { HTTPParser: Class } = createRequire(import.meta.url)('node:_http_common') as { HTTPParser: ParserClass };
  const parser = new Class();
  parser.initialize(Class.RESPONSE, {}, headerBytes * 2);
  const told = { status: 0, raw: [] as string[], content: '', trailers: [] as string[], isDone: false, isFinal: false };
  let loose: string[] = [];
  parser[Class.kOnHeaders] = (raw: string[]) => void loose.push(...raw);
  parser[Class.kOnHeadersComplete] = (...facts: unknown[]) => {
    const status = Number(facts[5]);
    if (!told.isDone) {
      Object.assign(told, {
        status,
        raw: [...loose, ...((facts[2] as string[] | undefined) ?? [])],
        isFinal: status >= 200 || status === 101,
      });
    }
    loose = [];
    return method === 'HEAD' || (status >= 100 && status < 200) ? 1 : 0;
  };
  parser[Class.kOnBody] = (piece: Buffer) => void (told.isDone || (told.content += piece.toString('latin1')));
  parser[Class.kOnMessageComplete] = () => {
    if (told.isFinal && !told.isDone) {
      Object.assign(told, { isDone: true, trailers: loose });
    }
    loose = [];
  };
  const outcome = parser.execute(bytes);
  const fault = typeof outcome === 'number' && isClosed && !told.isDone ? parser.finish() : undefined;
  const isFaulty = outcome instanceof Error || fault instanceof Error;
  const end = told.isDone ? (told.status === 101 ? 'switched' : 'whole') : isFaulty ? 'fault' : 'incomplete';
  return { end, status: told.status, fields: fieldsOf(told.raw), content: told.content, trailers: fieldsOf(told.trailers) };
}
