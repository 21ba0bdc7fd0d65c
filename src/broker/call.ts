import type { Duplex, Readable } from 'node:stream';
import type { z } from 'zod';

import { malformed } from './refusal.ts';

/** One request as a handler sees it, and the handler's answer. */
export interface Call {
  /** parts of the path, in order */
  readonly params: readonly string[];
  readonly query: Query;
  /** The JSON body by its form. Throws a refusal. */
  readonly read: <S extends z.ZodType>(schema: S) => Promise<z.output<S>>;
  /** the body as it comes, for those that are no JSON; bounded */
  readonly content: Readable;
  /** the connection becomes a stream both ways */
  readonly isUpgrade: boolean;
  /** aborts when the client has gone */
  readonly signal: AbortSignal;
  /** Puts an effect on record. Throws where that cannot be done: then nothing may follow. */
  readonly effect: (action: string, subject: string, detail?: Detail) => Promise<void>;
}

type Detail = Readonly<Record<string, string | number | boolean>>;

export type Reply =
  | { readonly kind: 'json'; readonly status: number; readonly body: unknown }
  | { readonly kind: 'text'; readonly status: number; readonly body: string; readonly headers?: Readonly<Record<string, string>> }
  | { readonly kind: 'nothing'; readonly status: number }
  | { readonly kind: 'stream'; readonly contentType: string; readonly source: Readable }
  | { readonly kind: 'both-ways'; readonly source: Duplex };

export function json(body: unknown, status = 200): Reply {
  return { kind: 'json', status, body };
}

export const nothing: Reply = { kind: 'nothing', status: 204 };

/** Parameters of a request. Those that a handler does not ask for go nowhere; one that is said twice has no meaning. */
export interface Query {
  readonly text: (name: string) => string;
  readonly all: (name: string) => readonly string[];
  /** `1` and `true`, as Docker reads them */
  readonly flag: (name: string, otherwise?: boolean) => boolean;
  readonly number: (name: string) => number | undefined;
}

export function readQuery(raw: string): Query {
  const fields = new URLSearchParams(raw);
  const text = (name: string): string => {
    const values = fields.getAll(name);
    if (values.length > 1) {
      throw malformed(`the parameter ${name} is said ${values.length} times`);
    }
    return values[0] ?? '';
  };
  return {
    text,
    all: (name) => fields.getAll(name),
    flag(name, otherwise = false) {
      const value = text(name).toLowerCase();
      return value === '' ? (fields.has(name) ? false : otherwise) : !['0', 'false', 'no', 'none'].includes(value);
    },
    number(name) {
      const value = text(name);
      if (value === '') {
        return undefined;
      }
      if (!/^-?\d{1,9}$/.test(value)) {
        throw malformed(`the parameter ${name} is not a number`);
      }
      return Number(value);
    },
  };
}
