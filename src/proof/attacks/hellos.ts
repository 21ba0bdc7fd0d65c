import { clientHello, extension, serverNames } from './client-hello.ts';

/** TLS greetings that do not name exactly one host beyond doubt. Where the name decides, each of them must be closed. */
export interface HelloNames {
  /** the name that the connection is for */
  readonly allowed: string;
  readonly denied: string;
}

export function doubtfulHellos({ allowed, denied }: HelloNames): Readonly<Record<string, Buffer>> {
  const padding = (bytes: number): Buffer => extension(21, Buffer.alloc(bytes));
  const named = (...extensions: Buffer[]): Buffer => clientHello({ extensions });
  return {
    'two names': named(serverNames([0, allowed], [0, denied])),
    'two extensions': named(serverNames([0, allowed]), serverNames([0, denied])),
    'type 1': named(serverNames([1, allowed])),
    'another name after byte 1024': named(padding(1300), serverNames([0, denied])),
    'split over records': clientHello({ extensions: [padding(400), serverNames([0, allowed])], cut: 60 }),
    'a trailing dot': named(serverNames([0, `${allowed}.`])),
    '254 bytes': named(serverNames([0, 'a.'.repeat(127)])),
    NUL: named(serverNames([0, `${denied}\0.${allowed}`])),
    empty: named(serverNames([0, ''])),
    none: named(padding(4)),
    'no extensions': named(),
    'an address': named(serverNames([0, '192.0.2.10'])),
    'an encrypted hello behind another name': named(serverNames([0, 'cloudflare-ech.com']), extension(0xfe0d, Buffer.alloc(8))),
    'not a hello': Buffer.from('1603010004020000000', 'hex'),
    'SSL 2': Buffer.from(
      '802e0103010015000000100100800300800700c006004002008004008000000000000000000000000000000000000000',
      'hex',
    ),
  };
}

/** The control: the one hello that is beyond doubt. */
export function clearHello(allowed: string): Buffer {
  return clientHello({ extensions: [serverNames([0, allowed])] });
}

/** A greeting for this name that holds an encrypted one, which may be for another (RFC 9849). */
export function hiddenHello(allowed: string): Buffer {
  return clientHello({ extensions: [serverNames([0, allowed]), extension(0xfe0d, Buffer.alloc(8))] });
}
