/** The forms in which programs write a text into URLs, content and headers, each of which can be read back. */

/** By name of the form. Forms inside base64 are what depends on the text alone, wherever it begins. */
export function formsOf(text: string): Readonly<Record<string, string>> {
  const bytes = Buffer.from(text);
  const json = JSON.stringify(text).slice(1, -1);
  return {
    'as it is': text,
    'percent-encoded': encodeURIComponent(text),
    'percent-encoded in small letters': encodeURIComponent(text).replaceAll(/%../g, (escape) => escape.toLowerCase()),
    'as in a form': new URLSearchParams({ '': text }).toString().slice(1),
    'in JSON': json,
    'in JSON, slashes escaped': json.replaceAll('/', '\\/'),
    'in JSON, signs of HTML escaped': unicode(json, /[<>&]/g),
    'in JSON, all signs escaped': unicode(text, /[^A-Za-z0-9]/g),
    'in HTML': text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;'),
    'in hex': bytes.toString('hex'),
    'in HEX': bytes.toString('hex').toUpperCase(),
    'in base64': insideBase64(bytes, 0),
    'in base64, behind one byte': insideBase64(bytes, 1),
    'in base64, behind two bytes': insideBase64(bytes, 2),
    'in base64 for addresses': insideBase64(bytes, 0).replaceAll('+', '-').replaceAll('/', '_'),
  };
}

/** Whether a text shows another in any of its forms. */
export function shows(text: string, sought: string): boolean {
  const decoded = text.replaceAll(/(?:%|\\+u00)([0-9a-f]{2})/gi, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  return Object.values(formsOf(sought)).some((form) => text.includes(form) || decoded.includes(form));
}

/** Whether a text shows so much of another, cut up or not, that the rest can be guessed. */
export function showsPart(text: string, sought: string, length = 24): boolean {
  const starts = Array.from({ length: Math.max(1, sought.length - length + 1) }, (_, at) => at);
  return shows(text, sought) || starts.some((at) => text.includes(sought.slice(at, at + length)));
}

function unicode(text: string, signs: RegExp): string {
  return text.replaceAll(signs, (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

function insideBase64(bytes: Buffer, offset: number): string {
  const text = Buffer.concat([Buffer.alloc(offset, 'x'), bytes]).toString('base64');
  return text.slice(Math.ceil((offset * 8) / 6), Math.floor(((offset + bytes.length) * 8) / 6));
}
