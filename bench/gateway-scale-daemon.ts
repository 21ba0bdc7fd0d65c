/**
 * The process that is measured: what the daemon puts together at its start, with sandboxes whose listeners are loopback
 * ports of this machine. Bundled as the daemon is, told by messages what to do.
 */
import { readFileSync } from 'node:fs';

import { encode } from 'dns-packet';

import { cleanupStack } from '../src/base/cleanup.ts';
import { parseHost } from '../src/base/host.ts';
import { assemble } from '../src/daemon/assemble.ts';
import { createCalls } from '../src/daemon/calls.ts';
import { createTimers } from '../src/daemon/timers.ts';
import { createAuthority } from '../src/gateway/tls/authority.ts';
import type { NetworkRule } from '../src/policy/policy.ts';
import { processEnvironment } from '../src/system/environment.ts';
import type { IngressReceiver } from '../src/system/ingress.ts';
import { pathsFrom } from '../src/system/paths.ts';
import { keyCredential, listenFor } from './gateway-listen.ts';

export type ScaleOrder =
  | { readonly do: 'attach'; readonly sandboxes: number; readonly upstreams: Readonly<Record<string, number>> }
  | { readonly do: 'look up'; readonly names: number }
  | { readonly do: 'tell' };

export interface ScaleFacts {
  /** microseconds of processor time so far */
  readonly cpuUs: number;
  readonly rssBytes: number;
  /** of it, what no other process shares and no file holds */
  readonly ownBytes: number;
  /** how long its main thread could have run in all, and had no processor */
  readonly waitedMs: number;
}

export interface ScaleSandbox {
  readonly ca: string;
  readonly splice: number;
  readonly injection: number;
}

const scaleHosts = { splice: 'splice.example.com', injection: 'inject.example.com' } as const;

interface Attached {
  readonly receiver: IngressReceiver;
  readonly told: ScaleSandbox;
}

const cleanup = cleanupStack();
const log = (text: string): void => void process.stderr.write(`${text}\n`);
const { context, sandboxes } = await assemble({
  env: processEnvironment,
  paths: pathsFrom(processEnvironment, 0),
  uid: 0,
  log,
  cleanup,
});
const timers = createTimers({ context, sandboxes, log });
// What the daemon answers with belongs to what it has loaded.
const status = { pid: process.pid, version: '', uptimeMs: 0, memoryBytes: 0, running: 0, sandboxes: 0, waiting: 0, socket: '' };
createCalls({ context, sandboxes, timers, status: async () => status, shutdown: async () => [] });
const attached: Attached[] = [];

/** With a listener of its own: where the other side has gone, nobody is told. */
const say = (message: object): void => void process.send?.(message, () => undefined);

process.on('message', (order: ScaleOrder) => {
  carryOut(order).then(
    (answer) => say({ answer }),
    (error: unknown) => say({ error: String(error) }),
  );
});
process.on('disconnect', () => void cleanup.run().finally(() => process.exit()));
say({ answer: facts() });

async function carryOut(order: ScaleOrder): Promise<unknown> {
  if (order.do === 'look up') {
    return lookUp(order.names);
  }
  if (order.do === 'attach') {
    while (attached.length < order.sandboxes) {
      attached.push(await attach(attached.length, order.upstreams));
    }
    return attached.map(({ told }) => told);
  }
  return facts();
}

function facts(): ScaleFacts {
  const { user, system } = process.cpuUsage();
  const kilobytes = /^RssAnon:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  const [, waitedNs] = readFileSync('/proc/self/schedstat', 'utf8').split(' ');
  return {
    cpuUs: user + system,
    rssBytes: process.memoryUsage.rss(),
    ownBytes: Number(kilobytes) * 1024,
    waitedMs: Number(waitedNs) / 1e6,
  };
}

async function attach(index: number, upstreams: Readonly<Record<string, number>>): Promise<Attached> {
  const authority = await createAuthority({ name: `bench-${index}` });
  const secret = `sk-bench-${index}-0123456789abcdef0123456789abcdef0123456789abcdef`;
  const phantom = `sk-phantom-${index}-0123456789abcdef`;
  let given: IngressReceiver | undefined;
  context.gateway.attach(
    {
      id: `cm-${index.toString(16).padStart(16, '0')}`,
      name: `bench-${index}`,
      policyHash: '0'.repeat(64),
      rules: [rule(scaleHosts.splice, upstreams['splice']), rule(scaleHosts.injection, upstreams['injection'], 'key')],
      authority,
      credentials: keyCredential(phantom, secret),
    },
    { serve: (receiver) => void (given = receiver), close: async () => undefined },
  );
  const receiver = given as unknown as IngressReceiver;
  const ports = await Promise.all([scaleHosts.splice, scaleHosts.injection].map((host) => listenFor(receiver, host)));
  return { receiver, told: { ca: authority.certificatePem, splice: ports[0] ?? 0, injection: ports[1] ?? 0 } };
}

/** Milliseconds that each name took, in turn in each sandbox; asked for all at once, as a flood would be. */
function lookUp(names: number): number[] {
  const questions = [scaleHosts.splice, scaleHosts.injection].map((name) =>
    encode({ type: 'query', id: 7, flags: 0x100, questions: [{ type: 'A', name }] }),
  );
  return Array.from({ length: names }, (_, nth) => {
    const started = performance.now();
    let answers = 0;
    attached[nth % attached.length]?.receiver.datagram({
      data: questions[nth % 2] as Uint8Array,
      localPort: 53,
      reply: () => void (answers += 1),
    });
    if (answers !== 1) {
      throw new Error(`lookup ${nth} was not answered`);
    }
    return performance.now() - started;
  });
}

function rule(host: string, upstream = 0, credential?: string): NetworkRule {
  return {
    id: `bench:${host}`,
    host: { kind: 'exact', host: parseHost(host) },
    ports: [443],
    credential,
    http: undefined,
    upstream: `https://127.0.0.1:${upstream}`,
    origin: { layer: 'project', source: 'bench' },
  };
}
