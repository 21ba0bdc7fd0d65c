import { requestText } from '../clients/request-text.ts';

/** Requests that contain a text, each in another place. */
export interface HeldText {
  readonly host: string;
  readonly method: string;
  readonly target: string;
  /** letters, digits and `_` alone */
  readonly text: string;
}

/** Places where a key is never declared to stand. */
export function strangePlaces({ text, target, ...where }: HeldText): Readonly<Record<string, string>> {
  const parts = { ...where, target };
  const more = target.includes('?') ? '&' : '?';
  const middle = Math.floor(text.length / 2);
  return {
    'in another header': requestText({ ...parts, lines: [`User-Agent: ${text}`] }),
    'in another header, percent-encoded': requestText({ ...parts, lines: [`X-Note: ${escaped(text)}`] }),
    'as the name of a header': requestText({ ...parts, lines: [`${text}: x`] }),
    'in a cookie': requestText({ ...parts, lines: [`Cookie: session=${text}`] }),
    'in the query': requestText({ ...parts, target: `${target}${more}x=${text}` }),
    'in the query, percent-encoded': requestText({ ...parts, target: `${target}${more}x=${escaped(text)}` }),
    'in the content': requestText({ ...parts, body: `{"note":"${text}"}` }),
    'in the content, percent-encoded': requestText({ ...parts, body: `note=${escaped(text)}` }),
    'in the content, in escapes of JSON': requestText({ ...parts, body: `{"note":"${escaped(text).replaceAll('%', '\\u00')}"}` }),
    'in the content, percent-encoded, in two pieces': chunked(parts, cutAt(`note=${escaped(text)}`, 3 * middle + 6)),
    'in the content, in two pieces': chunked(parts, [`{"note":"${text.slice(0, middle)}`, `${text.slice(middle)}"}`]),
    'behind the content': chunked(parts, ['{}'], `X-Note: ${text}`),
  };
}

/** Places where keys usually stand. */
export function usualPlaces({ text, ...parts }: HeldText): Readonly<Record<string, string>> {
  return {
    'in X-Api-Key': requestText({ ...parts, lines: [`X-Api-Key: ${text}`] }),
    'as a bearer token': requestText({ ...parts, lines: [`Authorization: Bearer ${text}`] }),
    'as a password': requestText({ ...parts, lines: [`Authorization: Basic ${Buffer.from(`me:${text}`).toString('base64')}`] }),
  };
}

function escaped(text: string): string {
  return [...Buffer.from(text)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');
}

function cutAt(text: string, at: number): readonly string[] {
  return [text.slice(0, at), text.slice(at)];
}

function chunked(parts: Omit<HeldText, 'text'>, pieces: readonly string[], behind?: string): string {
  const lines = ['Transfer-Encoding: chunked', ...(behind === undefined ? [] : ['Trailer: X-Note'])];
  const content = pieces.map((piece) => `${piece.length.toString(16)}\r\n${piece}\r\n`).join('');
  return `${requestText({ ...parts, lines })}${content}0\r\n${behind === undefined ? '' : `${behind}\r\n`}\r\n`;
}
