/** A broker with clients that write whatever they like: requests as bytes over a connection, and what was recorded. */
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { createBroker, type Broker } from '../../../src/broker/broker.ts';
import { systemClock } from '../../../src/system/clock.ts';
import { fakeContainers, type FakeContainers } from './fake-containers.ts';

export interface BrokerLab {
  readonly broker: Broker;
  readonly containers: FakeContainers;
  readonly recorded: {
    readonly kind: 'effect' | 'deny' | 'note';
    readonly action: string;
    readonly subject: string;
    readonly reason?: string;
  }[];
  /** the journal takes nothing more */
  readonly breakJournal: () => void;
  readonly ask: (
    method: string,
    path: string,
    body?: string | Buffer,
    headers?: Readonly<Record<string, string>>,
  ) => Promise<Told>;
  readonly close: () => Promise<void>;
}

export interface Told {
  readonly status: number;
  readonly text: string;
}

export async function brokerLab(offer = { build: true, images: ['postgres:16'] }): Promise<BrokerLab> {
  const folder = await mkdtemp(join(tmpdir(), 'casemate-broker-'));
  const containers = fakeContainers();
  const recorded: BrokerLab['recorded'] = [];
  let isBroken = false;
  const broker = createBroker({
    sandbox: 'box',
    offer,
    containers: async () => containers,
    file: join(folder, 'names.json'),
    clock: systemClock,
  });
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, (socket) =>
    broker.serve(socket, {
      async effect(action, { subject }) {
        recorded.push({ kind: 'effect', action, subject });
        return !isBroken;
      },
      async deny({ subject }, { reason, action = '' }) {
        recorded.push({ kind: 'deny', action, subject, reason });
      },
      note(action, { subject, detail }, reason) {
        recorded.push({ kind: 'note', action, subject, reason: `${reason}: ${String(detail['why'])}` });
      },
    }),
  );
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    broker,
    containers,
    recorded,
    breakJournal: () => void (isBroken = true),
    async ask(method, path, body = '', headers = {}) {
      const bytes = Buffer.from(body);
      const fields = { Host: 'docker', 'Content-Length': String(bytes.length), Connection: 'close', ...headers };
      const head = [`${method} ${path} HTTP/1.1`, ...Object.entries(fields).map(([name, value]) => `${name}: ${value}`), '', ''];
      const socket = connect(port, '127.0.0.1');
      socket.write(Buffer.concat([Buffer.from(head.join('\r\n')), bytes]));
      const pieces: Buffer[] = [];
      for await (const piece of socket) {
        pieces.push(piece);
      }
      const text = Buffer.concat(pieces).toString('utf8');
      return { status: Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1] ?? 0), text: text.slice(text.indexOf('\r\n\r\n') + 4) };
    },
    async close() {
      server.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
