/** Parts of the measured gateways: a credential in a header, and a listener of this machine for each host of a sandbox. */
import { createServer, type AddressInfo } from 'node:net';

import { decode, encode } from 'dns-packet';

import type { BoundCredential } from '../src/credentials/credential.ts';
import type { IngressReceiver } from '../src/system/ingress.ts';

export function keyCredential(phantom: string, secret: string): ReadonlyMap<string, BoundCredential> {
  const key: BoundCredential = {
    name: 'key',
    provider: 'header',
    phantom,
    phantoms: () => [phantom],
    identityHeaders: ['x-api-key'],
    inject: { kind: 'header', header: 'x-api-key', format: '{}' },
    obtain: async () => ({ kind: 'text', secret: { reveal: () => secret } }),
  };
  return new Map([['key', key]]);
}

/** The port of a new listener whose connections are those of a sandbox to port 443 of this host. */
export async function listenFor(receiver: IngressReceiver, host: string): Promise<number> {
  const localAddress = addressOf(receiver, host);
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, (socket) =>
    receiver.connection({ socket, localAddress, localPort: 443 }),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

function addressOf(receiver: IngressReceiver, name: string): string {
  let address = '';
  receiver.datagram({
    data: encode({ type: 'query', id: 1, questions: [{ type: 'A', name }] }),
    localPort: 53,
    reply(data) {
      const record = decode(Buffer.from(data)).answers?.[0];
      address = record?.type === 'A' ? record.data : '';
    },
  });
  return address;
}
