/** Requests of one connection as the gateway reads them and as Node's own parser (llhttp, strict) does, to be compared. */
import { createRequire } from 'node:module';

import { fieldsOf, type Field } from '../../src/gateway/http/fields.ts';
import { headFault, RequestReader } from '../../src/gateway/http/request-reader.ts';

export interface OneRequest {
  readonly method: string;
  readonly target: string;
  readonly version: string;
  readonly fields: readonly Field[];
  readonly content: string;
  readonly trailers: readonly Field[];
  readonly isKept: boolean;
}

export interface Reading {
  /** those that are complete, in order */
  readonly requests: readonly OneRequest[];
  /** why the rest is none; `open`: it may still become one, or there is nothing; `switch`: it is of another protocol */
  readonly end: 'open' | 'switch' | 'too-large' | 'malformed';
}

export const headerBytes = 16 * 1024;

export function readOurs(pieces: readonly Buffer[]): Reading {
  const requests: OneRequest[] = [];
  let now: Omit<OneRequest, 'trailers'> | undefined;
  let content = '';
  let isSwitched = false;
  const finish = (trailers: readonly Field[]): void => {
    if (now !== undefined) {
      requests.push({ ...now, content, trailers });
    }
    now = undefined;
    content = '';
  };
  const reader = new RequestReader(headerBytes, {
    head({ hasContent, isSwitch, ...request }) {
      now = { ...request, content: '' };
      isSwitched = isSwitch;
      if (!hasContent || isSwitch) {
        finish([]);
      }
      return !isSwitch;
    },
    content: (piece) => void (content += piece.toString('latin1')),
    done: finish,
  });
  for (const piece of pieces) {
    try {
      reader.push(piece);
    } catch (thrown) {
      return { requests, end: headFault(thrown) };
    }
    if (isSwitched) {
      return { requests, end: 'switch' };
    }
  }
  return { requests, end: 'open' };
}

type Parser = Record<number, unknown> & {
  initialize: (type: number, resource: object, maxHeaderSize: number) => void;
  execute: (bytes: Buffer) => number | Error;
};

interface NodeParser {
  readonly HTTPParser: {
    new (): Parser;
    readonly REQUEST: number;
    readonly kOnHeaders: number;
    readonly kOnHeadersComplete: number;
    readonly kOnBody: number;
    readonly kOnMessageComplete: number;
  };
  readonly methods: readonly string[];
}

/** The requests that Node takes from the same bytes; `isFaulty`: it does not take all. */
export function readAsNode(bytes: Buffer): { readonly requests: readonly OneRequest[]; readonly isFaulty: boolean } {
  // Not for users of Node, and therefore without types: there is no other way to its parser alone.
  const { HTTPParser: Class, methods } = createRequire(import.meta.url)('node:_http_common') as NodeParser;
  const parser = new Class();
  parser.initialize(Class.REQUEST, {}, headerBytes * 4);
  const requests: OneRequest[] = [];
  let head: Omit<OneRequest, 'content' | 'trailers'> | undefined;
  let loose: string[] = [];
  let url = '';
  let content = '';
  parser[Class.kOnHeaders] = (raw: string[], part: string) => {
    loose.push(...raw);
    url += head === undefined ? part : '';
  };
  parser[Class.kOnHeadersComplete] = (...facts: unknown[]) => {
    const raw = [...loose, ...((facts[2] as string[] | undefined) ?? [])];
    head = {
      version: `${String(facts[0])}.${String(facts[1])}`,
      fields: fieldsOf(raw),
      method: methods[Number(facts[3])] ?? '',
      target: (facts[4] as string | undefined) ?? url,
      isKept: facts[8] === true,
    };
    loose = [];
    url = '';
    content = '';
    return 0;
  };
  parser[Class.kOnBody] = (piece: Buffer) => void (content += piece.toString('latin1'));
  parser[Class.kOnMessageComplete] = () => {
    if (head !== undefined) {
      requests.push({ ...head, content, trailers: fieldsOf(loose) });
    }
    head = undefined;
    loose = [];
  };
  return { isFaulty: parser.execute(bytes) instanceof Error, requests };
}
