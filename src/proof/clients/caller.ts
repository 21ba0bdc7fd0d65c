import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as tlsConnect, type TLSSocket } from 'node:tls';

import type { LabSandbox } from '../lab/lab.ts';
import { patience } from '../patience.ts';
import { talk, type Heard, type Piece, type TalkOptions } from './talk.ts';

/**
 * A program in a sandbox of the lab, as far as the network can tell: this process decides what it says and gets what it hears.
 */
export interface Caller {
  /** Bytes over TCP. What cannot be connected ends as `reset`. */
  readonly plain: (place: Place, pieces: readonly Piece[], options?: TalkOptions) => Promise<Heard>;
  /** Bytes inside TLS. A handshake that fails ends as `reset`. */
  readonly secure: (place: TlsPlace, pieces: readonly Piece[], options?: TalkOptions) => Promise<Heard>;
  readonly openTls: (place: TlsPlace) => Promise<TLSSocket>;
}

export interface Place {
  /** name or address, as the sandbox sees it */
  readonly host: string;
  /** default: 80, inside TLS 443 */
  readonly port?: number | undefined;
}

export interface TlsPlace extends Place {
  /** default: the host; `null`: none is sent */
  readonly serverName?: string | null | undefined;
  readonly protocols?: readonly string[] | undefined;
  /** PEM; with it the certificate is verified. Without it any will do: an attacker does not mind */
  readonly ca?: string | undefined;
}

const handshakeMs = 5000;
const nobody: Heard = { text: '', end: 'reset' };

export function callerIn({ connect }: Pick<LabSandbox, 'connect'>): Caller {
  const openTls = async (place: TlsPlace): Promise<TLSSocket> =>
    await handshake(await connect(place.host, place.port ?? 443), place);
  return {
    openTls,
    plain: async ({ host, port = 80 }, pieces, options) => await over(connect(host, port), pieces, options),
    secure: async (place, pieces, options) => await over(openTls(place), pieces, options),
  };
}

async function over(opening: Promise<Duplex>, pieces: readonly Piece[], options?: TalkOptions): Promise<Heard> {
  const stream = await opening.catch(() => undefined);
  return stream === undefined ? nobody : await talk(stream, pieces, options);
}

async function handshake(socket: Duplex, { host, serverName = host, protocols, ca }: TlsPlace): Promise<TLSSocket> {
  const secure = tlsConnect({
    socket,
    rejectUnauthorized: ca !== undefined,
    ...(ca === undefined ? { checkServerIdentity: () => undefined } : { ca }),
    ...(serverName === null ? {} : { servername: serverName }),
    ...(protocols === undefined ? {} : { ALPNProtocols: [...protocols] }),
  });
  secure.on('error', () => undefined);
  // What it is afterwards lasts as long as whoever asked for it wants.
  const outcome = await Promise.race([
    once(secure, 'secureConnect').then(() => 'done'),
    once(secure, 'close').then(() => 'broken'),
    sleep(handshakeMs * patience(), 'late'),
  ]).catch(() => 'broken');
  if (outcome !== 'done') {
    secure.destroy();
    throw new Error('the TLS handshake failed');
  }
  return secure;
}
