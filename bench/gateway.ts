/**
 * What the gateway costs: throughput and latency of a TLS exchange relayed as it is and of one that is opened for a
 * credential, against the same exchange over a direct loopback connection. Caller and upstream are threads of their own.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';

import { decode, encode } from 'dns-packet';

import { parseHost } from '../src/base/host.ts';
import { createAuthority, createLeafSigner } from '../src/gateway/tls/authority.ts';
import { createGateway } from '../src/gateway/create-gateway.ts';
import type { NetworkRule } from '../src/policy/policy.ts';
import { journalPlace } from '../src/journal/journal-place.ts';
import { openJournal } from '../src/journal/open-journal.ts';
import { systemClock } from '../src/system/clock.ts';
import { environmentOf } from '../src/system/environment.ts';
import { pathsFrom } from '../src/system/paths.ts';
import type { IngressReceiver } from '../src/system/ingress.ts';
import type { ClientData, Task } from './gateway-client.ts';
import type { ServerData } from './gateway-server.ts';
import { median, type BenchResult } from './result.ts';

const megabytes = 192;
const rounds = 7;
const smallRequests = 300;
const ways = ['direct', 'splice', 'injection'] as const;
type Way = (typeof ways)[number];
const hosts: Readonly<Record<Way, string>> = {
  direct: 'direct.example.com',
  splice: 'splice.example.com',
  injection: 'inject.example.com',
};
const secret = 'sk-bench-0123456789abcdef0123456789abcdef0123456789abcdef';

type Call = (way: Way, task: Pick<Task, 'method' | 'bytes' | 'requests'>) => Promise<number[]>;

export async function benchGateway(): Promise<readonly BenchResult[]> {
  const folder = await mkdtemp(join(tmpdir(), 'casemate-bench-'));
  const bench = await start(folder);
  try {
    return await measure(bench.call);
  } finally {
    await bench.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

async function measure(call: Call): Promise<readonly BenchResult[]> {
  const down = new Map<Way, number[]>();
  const up = new Map<Way, number[]>();
  const small = new Map<Way, number[]>();
  const bytes = megabytes * 1e6;
  const add = (to: Map<Way, number[]>, way: Way, samples: number[]): void =>
    void to.set(way, [...(to.get(way) ?? []), ...samples]);
  for (let round = 0; round <= rounds; round += 1) {
    for (const way of ways) {
      const latency = await call(way, { method: 'GET', bytes: 100, requests: smallRequests / 5 });
      const download = await call(way, { method: 'GET', bytes, requests: 1 });
      const upload = await call(way, { method: 'POST', bytes, requests: 1 });
      // The first round warms up.
      if (round > 0) {
        add(small, way, latency);
        add(down, way, download.map(perSecond));
        add(up, way, upload.map(perSecond));
      }
    }
  }
  return [...throughput('download', down), ...throughput('upload', up), ...latencies(small)];
}

function perSecond(ms: number): number {
  return megabytes / (ms / 1000);
}

function throughput(direction: string, samples: ReadonlyMap<Way, number[]>): BenchResult[] {
  const aims: Partial<Record<Way, string>> = { splice: '> 0.4', injection: '> 0.25' };
  return ways.map((way) => ({
    name: `gateway/${direction} ${way}`,
    unit: 'MB/s',
    samples: samples.get(way) ?? [],
    note: `${megabytes} MB over one TLS connection, HTTP/1.1`,
    ...(way === 'direct' ? {} : { against: `gateway/${direction} direct`, aim: aims[way] }),
  }));
}

function latencies(samples: ReadonlyMap<Way, number[]>): BenchResult[] {
  const direct = median(samples.get('direct') ?? []) ?? 0;
  return ways.flatMap((way): BenchResult[] => {
    const own = samples.get(way) ?? [];
    const row: BenchResult = { name: `gateway/small request ${way}`, unit: 'ms', samples: own, note: 'kept alive, 100 bytes' };
    const added: BenchResult = {
      name: `gateway/added by ${way}`,
      unit: 'ms',
      samples: own.map((ms) => ms - direct),
      aim: '< 1 ms',
      note: 'over the direct median; every request durable in the journal where it is opened',
    };
    return way === 'direct' ? [row] : [row, added];
  });
}

async function start(folder: string): Promise<{ call: Call; stop: () => Promise<void> }> {
  const [inner, outer] = await Promise.all([createAuthority({ name: 'bench' }), createAuthority({ name: 'upstream' })]);
  const leaves = await createLeafSigner(outer);
  const upstreams = new Map<string, { worker: Worker; port: number }>();
  for (const way of ways) {
    const data: ServerData = { key: leaves.privateKeyPem, cert: await leaves.sign(hosts[way]) };
    const worker = new Worker(new URL('gateway-server.ts', import.meta.url), { workerData: data });
    upstreams.set(hosts[way], { worker, port: await message<number>(worker) });
  }
  const ca: ClientData = { ca: [inner.certificatePem, outer.certificatePem] };
  const client = new Worker(new URL('gateway-client.ts', import.meta.url), { workerData: ca });
  const journal = await openJournal({
    ...journalPlace(pathsFrom(environmentOf({ CASEMATE_HOME: folder, HOME: folder }), 0)),
    clock: systemClock,
  });
  const names = [...upstreams.keys()];
  const gateway = createGateway({
    journal,
    trustStorePem: outer.certificatePem,
    resolve: async (host) => [`93.184.216.${names.indexOf(host) + 1}`],
    dial: ({ address }) =>
      connect({
        host: '127.0.0.1',
        port: upstreams.get(names[Number(address.split('.')[3]) - 1] ?? '')?.port ?? 1,
        allowHalfOpen: true,
        noDelay: true,
      }),
  });
  let receiver: IngressReceiver | undefined;
  gateway.attach(
    {
      id: 'cm-0000000000000000',
      name: 'bench',
      policyHash: '0'.repeat(64),
      rules: [rule(hosts.splice), rule(hosts.injection, 'key')],
      authority: inner,
      credentials: new Map([
        [
          'key',
          {
            name: 'key',
            provider: 'header',
            phantom: 'phantom-of-the-bench',
            phantoms: () => ['phantom-of-the-bench'],
            identityHeaders: ['x-api-key'],
            inject: { kind: 'header', header: 'x-api-key', format: '{}' },
            obtain: async () => ({ kind: 'text', secret: { reveal: () => secret } }),
          },
        ],
      ]),
    },
    { serve: (given) => void (receiver = given), close: async () => undefined },
  );
  const listeners = await Promise.all(
    ways.map((way) => {
      const localAddress = way === 'direct' ? '' : addressOf(receiver, hosts[way]);
      const server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, (socket) =>
        receiver?.connection({ socket, localAddress, localPort: 443 }),
      );
      return new Promise<{ close: () => void; port: number }>((resolve) => {
        server.listen(0, '127.0.0.1', () =>
          resolve({ close: () => server.close(), port: (server.address() as AddressInfo).port }),
        );
      });
    }),
  );
  return {
    async call(way, task) {
      const port = way === 'direct' ? upstreams.get(hosts.direct)?.port : listeners[ways.indexOf(way)]?.port;
      const asked: Task = { ...task, host: hosts[way], port: port ?? 0 };
      const answered = message<{ samples?: number[]; error?: string }>(client);
      client.postMessage(asked);
      const { samples, error } = await answered;
      if (samples === undefined) {
        throw new Error(`${way}: ${error}`);
      }
      return samples;
    },
    async stop() {
      await gateway.close();
      await journal.close();
      for (const listener of listeners) {
        listener.close();
      }
      await Promise.all([client, ...[...upstreams.values()].map(({ worker }) => worker)].map((worker) => worker.terminate()));
    },
  };
}

function addressOf(receiver: IngressReceiver | undefined, name: string): string {
  let address = '';
  receiver?.datagram({
    data: encode({ type: 'query', id: 1, questions: [{ type: 'A', name }] }),
    localPort: 53,
    reply(data) {
      const record = decode(Buffer.from(data)).answers?.[0];
      address = record?.type === 'A' ? record.data : '';
    },
  });
  return address;
}

function rule(host: string, credential?: string): NetworkRule {
  return {
    id: `bench:${host}`,
    host: { kind: 'exact', host: parseHost(host) },
    ports: [443],
    credential,
    http: undefined,
    upstream: undefined,
    origin: { layer: 'project', source: 'bench' },
  };
}

function message<T>(worker: Worker): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  worker.once('message', resolve);
  worker.once('error', reject);
  return promise;
}
