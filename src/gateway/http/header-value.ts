import type { Injection } from '../../credentials/credential.ts';

/** How a value is written in a header, be it the real one or a phantom. */
export function headerValue({ format, isBase64 }: Injection & { readonly kind: 'header' }, value: string): string {
  return format.replace('{}', () => (isBase64 === true ? base64(value) : value));
}

/** RFC 7617 */
export function basicValue(user: string, password: string): string {
  return `Basic ${base64(`${user}:${password}`)}`;
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}
