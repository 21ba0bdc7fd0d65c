import type { Field } from './fields.ts';

/** How a request declares the end of its content: chunked, or by a length in advance. */
export type Framing = 'chunked' | { readonly length: number };

/** The head of a request as it is written (RFC 9112). Throws rather than to write what could be read in two ways. */
export interface WrittenRequest {
  readonly method: string;
  readonly target: string;
  /** in order, `host` among them */
  readonly fields: readonly Field[];
  readonly framing: Framing | 'none';
}

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const visible = /^[\x21-\xff]+$/;
const text = /^[\t\x20-\x7e\x80-\xff]*$/;

export function requestText({ method, target, fields, framing }: WrittenRequest): string {
  if (!token.test(method) || !visible.test(target)) {
    throw new Error('this request cannot be written');
  }
  const own = framing === 'chunked' ? 'transfer-encoding: chunked\r\n' : '';
  return `${method} ${target} HTTP/1.1\r\n${fieldLines(fields)}${own}\r\n`;
}

export function fieldLines(fields: readonly Field[]): string {
  let lines = '';
  for (const [name, value] of fields) {
    if (!token.test(name) || !text.test(value)) {
      throw new Error('a field cannot be written');
    }
    lines += `${name}: ${value}\r\n`;
  }
  return lines;
}
