import { noNeedles, prepareNeedles, type Needles } from './mask.ts';
import { createRecent } from './recent.ts';

/** The forms in which a secret may appear: itself, escaped, in UTF-16, and inside base64 or hexadecimal text. */

/** Shorter values are not searched for: they would be found by chance. */
export const shortestNeedle = 8;

export function needlesOf(value: string): Needles {
  if (value.length < shortestNeedle) {
    return noNeedles;
  }
  const bytes = Buffer.from(value);
  const forms = [
    value,
    ...escapedForms(value),
    bytes.toString('hex'),
    bytes.toString('hex').toUpperCase(),
    ...[0, 1, 2].flatMap((offset) => insideBase64(bytes, offset)),
    wide(value),
  ];
  return prepareNeedles(forms.map((form) => Buffer.from(form)));
}

/** What UTF-16 has of it in either order of its bytes: a server may be asked to answer in it. */
function wide(value: string): string {
  return Buffer.from(value, 'utf16le').subarray(0, -1).toString('latin1');
}

/** As programs write a text with signs in it into addresses, forms, JSON and HTML; a key of letters alone has one form. */
function escapedForms(value: string): readonly string[] {
  const address = encodeURIComponent(value);
  const form = new URLSearchParams({ '': value }).toString().slice(1);
  const json = JSON.stringify(value).slice(1, -1);
  return [
    ...[address, form].flatMap((text) => [text, text.replaceAll(/%../g, (escape) => escape.toLowerCase())]),
    json,
    // PHP
    json.replaceAll('/', '\\/'),
    // Go
    ...unicodeEscapes(json, /[<>&]/g),
    // .NET, and encoders that leave nothing but letters and digits
    ...[/["'<>&+`]/g, /[^A-Za-z0-9]/g].flatMap((signs) => unicodeEscapes(value, signs)),
    ...['&#39;', '&#x27;', '&#039;', "'"].map((quote) => html(value, quote)),
  ];
}

function unicodeEscapes(value: string, signs: RegExp): readonly string[] {
  const write = (sign: string): string => sign.charCodeAt(0).toString(16).padStart(4, '0');
  const text = value.replaceAll(signs, (sign) => `\\u${write(sign)}`);
  return [text, value.replaceAll(signs, (sign) => `\\u${write(sign).toUpperCase()}`)];
}

function html(value: string, quote: string): string {
  const names: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": quote };
  return value.replaceAll(/[&<>"']/g, (sign) => names[sign] ?? sign);
}

/** The part of the base64 text that depends on the secret alone, when it starts `offset` bytes after a group of three. */
function insideBase64(bytes: Buffer, offset: number): readonly string[] {
  const text = Buffer.concat([Buffer.alloc(offset), bytes]).toString('base64');
  const start = Math.ceil((offset * 8) / 6);
  const end = Math.floor(((offset + bytes.length) * 8) / 6);
  const core = text.slice(start, end);
  return [core, core.replaceAll('+', '-').replaceAll('/', '_')];
}

/** The same, remembered for the secrets seen last. */
export function createNeedleCache(kept?: number): (value: string) => Needles {
  return createRecent(needlesOf, kept);
}
