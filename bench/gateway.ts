/**
 * What the gateway costs: TLS relayed as it is (splice) and opened for a credential (injection), against the same exchange
 * over a direct connection and over proxies of others. Caller, upstream and each proxy are processes of their own; rounds
 * go through all of them in turn, so that a busy moment of the machine meets every one alike.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { daemonFlags } from '../src/cli/session/start-daemon.ts';
import { createAuthority, createLeafSigner } from '../src/gateway/tls/authority.ts';
import { processEnvironment } from '../src/system/environment.ts';
import { processorMs, startChild, type Child } from './child.ts';
import type { ClientData, Task } from './gateway-client.ts';
import { measures, measureWays } from './gateway-measures.ts';
import type { Call, Way } from './gateway-way.ts';
import type { GatewayData, Ports } from './gateway-process.ts';
import type { UpstreamData } from './gateway-upstream.ts';
import { startMitmproxy, startSquid, startSrt, type Missing, type Proxy } from './proxies.ts';
import { blocked, type BenchResult } from './result.ts';

const hosts = { direct: 'direct.example.com', splice: 'splice.example.com', injection: 'inject.example.com' };
/** What proxies of others are asked to connect to: loopback, which needs no answer of a name server. */
const loopback = { splice: '127.0.0.1', injection: 'localhost' };
const secret = 'sk-bench-0123456789abcdef0123456789abcdef0123456789abcdef';
const phantom = 'phantom-of-the-bench';

interface Ended {
  readonly stop: () => Promise<void>;
}

export async function benchGateway(): Promise<readonly BenchResult[]> {
  const folder = await mkdtemp(join(tmpdir(), 'casemate-bench-'));
  const ends: Ended[] = [];
  try {
    return await measureIn(folder, ends);
  } finally {
    await Promise.all(ends.map(({ stop }) => stop()));
    await rm(folder, { recursive: true, force: true });
  }
}

async function measureIn(folder: string, ends: Ended[]): Promise<readonly BenchResult[]> {
  const keep = <T extends Ended>(started: T): T => {
    ends.push(started);
    return started;
  };
  const [inner, outer] = await Promise.all([createAuthority({ name: 'bench' }), createAuthority({ name: 'upstream' })]);
  const leaves = await createLeafSigner(outer);
  const names = [...Object.values(hosts), loopback.injection];
  const certs = Object.fromEntries(await Promise.all(names.map(async (name) => [name, await leaves.sign(name)] as const)));
  const trustFile = join(folder, 'trust.pem');
  await writeFile(trustFile, outer.certificatePem);
  const server = keep(
    await startChild<undefined, never>('gateway-upstream.ts', {
      key: leaves.privateKeyPem,
      certs,
      secret,
    } satisfies UpstreamData),
  );
  const gateway = keep(
    await startChild<'ports', Ports>(
      'gateway-process.ts',
      {
        folder,
        authority: inner,
        trustStorePem: outer.certificatePem,
        upstreamPort: server.ready,
        hosts,
        phantom,
        secret,
      } satisfies GatewayData,
      [...daemonFlags, ...profiling()],
    ),
  );
  const options = { folder, trustFile, secret, splicedHost: loopback.splice };
  const [squid, mitmproxy, srt] = [await startSquid(options), await startMitmproxy(options), await startSrt(options)];
  const proxies = { squid, mitmproxy, srt };
  for (const proxy of Object.values(proxies)) {
    if (!('missing' in proxy)) {
      keep(proxy);
    }
  }
  const cas = Object.values(proxies).flatMap((proxy) => ('missing' in proxy ? [] : proxy.ca));
  const ca = [inner.certificatePem, outer.certificatePem, ...cas];
  const client = keep(await startChild<Task, number[]>('gateway-client.ts', { ca } satisfies ClientData));
  const ports = await gateway.ask('ports');
  const ways = [...ownWays({ upstream: server.ready, ports, pid: gateway.pid }), ...otherWays(proxies, server.ready)];
  const missing = Object.entries(proxies).flatMap(([name, proxy]) =>
    'missing' in proxy ? [blocked(`gateway/${name}`, '', proxy.missing)] : [],
  );
  const asked = filters();
  const chosen = measures.filter(({ name }) => asked.measure.test(name));
  const taken = ways.filter(({ name }) => asked.way.test(name));
  return [...missing, ...versions(proxies), ...(await measureWays(taken, callOf(client), chosen))];
}

/** Patterns of what is measured and of the ways that are taken; absent: all. */
function filters(): { readonly measure: RegExp; readonly way: RegExp } {
  return {
    measure: new RegExp(processEnvironment.get('BENCH_MEASURES') ?? ''),
    way: new RegExp(processEnvironment.get('BENCH_WAYS') ?? ''),
  };
}

/** Where this is set, the gateway leaves a profile of its processor time in that folder. */
function profiling(): readonly string[] {
  const folder = processEnvironment.get('BENCH_PROFILE');
  return folder === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${folder}`];
}

function callOf(client: Child<Task, number[]>): Call {
  return async (way, task) => {
    const before = way.pid === undefined ? 0 : processorMs(way.pid);
    const samples = await client.ask({ ...task, target: way.target }).catch((error: unknown) => {
      throw new Error(`${way.name}, ${task.kind} over HTTP/${task.version}: ${String(error)}`);
    });
    return { samples, processorMs: way.pid === undefined ? 0 : processorMs(way.pid) - before };
  };
}

function ownWays({ upstream, ports, pid }: { upstream: number; ports: Ports; pid: number }): Way[] {
  const plain = { headers: {}, folder: 'any' } as const;
  const withPhantom = { headers: { 'x-api-key': phantom }, folder: 'key' } as const;
  return [
    { name: 'direct', target: { port: upstream, host: hosts.direct, ...plain }, speaksHttp2: true },
    { name: 'splice casemate', target: { port: ports.splice, host: hosts.splice, ...plain }, pid, speaksHttp2: true },
    {
      name: 'injection casemate',
      target: { port: ports.injection, host: hosts.injection, ...withPhantom },
      pid,
      speaksHttp2: true,
    },
  ];
}

function otherWays(proxies: Readonly<Record<'squid' | 'mitmproxy' | 'srt', Proxy | Missing>>, upstream: number): Way[] {
  const through = (name: keyof typeof proxies, kind: 'splice' | 'injection', speaksHttp2: boolean): Way[] => {
    const proxy = proxies[name];
    const host = kind === 'splice' ? hosts.splice : loopback.injection;
    const folder = kind === 'splice' ? 'any' : 'key';
    return 'missing' in proxy
      ? []
      : [
          {
            name: `${kind} ${name}`,
            target: { port: proxy.port, through: `${loopback[kind]}:${upstream}`, host, headers: {}, folder },
            pid: proxy.pid,
            speaksHttp2,
          },
        ];
  };
  return [
    ...through('squid', 'splice', true),
    ...through('srt', 'splice', true),
    ...through('mitmproxy', 'injection', true),
    ...through('srt', 'injection', false),
  ];
}

function versions(proxies: Readonly<Record<string, Proxy | Missing>>): BenchResult[] {
  return Object.entries(proxies).flatMap(([name, proxy]) =>
    'missing' in proxy ? [] : [{ name: `gateway/version of ${name}`, unit: '', samples: [], note: proxy.version }],
  );
}
