import { CasemateError } from '../../base/errors.ts';
import { parseHost, type HostName } from '../../base/host.ts';
import { visible } from '../../base/text.ts';

/** Reads `HOST[:PORT]` as it was typed; the default port is 443. Throws `USAGE` and `NAME_INVALID`. */
export function readDestination(text: string): { readonly host: HostName; readonly port: number } {
  const match = /^(.*?)(?::(\d{1,5}))?$/.exec(text);
  const port = match?.[2] === undefined ? 443 : Number(match[2]);
  if (port < 1 || port > 65_535) {
    throw new CasemateError('USAGE', `${visible(text)} has no port between 1 and 65535`, {
      hint: 'Write for example api.example.com:443.',
    });
  }
  return { host: parseHost(match?.[1] ?? ''), port };
}
