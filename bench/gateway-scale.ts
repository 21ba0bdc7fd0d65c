/**
 * What many sandboxes cost the daemon: processor time and latency of a connection, name lookups and memory with 1, 50 and
 * 500 sandboxes. The daemon's parts run in a process of their own, bundled as they are shipped; callers and upstream elsewhere.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';

import { rolldown } from 'rolldown';

import { takeBuiltIns } from '../scripts/built-ins.mjs';
import { daemonFlags } from '../src/cli/session/start-daemon.ts';
import { createAuthority, createLeafSigner } from '../src/gateway/tls/authority.ts';
import { hostEnv } from './measure.ts';
import type { BenchResult } from './result.ts';
import type { Place, ScaleTask } from './gateway-scale-client.ts';
import type { ScaleFacts, ScaleOrder, ScaleSandbox } from './gateway-scale-daemon.ts';
import type { ScaleUpstreamData } from './gateway-scale-upstream.ts';

const counts = [1, 50, 500] as const;
const ways = ['splice', 'injection'] as const;
type Way = (typeof ways)[number];
const hosts: Readonly<Record<Way, string>> = { splice: 'splice.example.com', injection: 'inject.example.com' };
const rounds = 5;
const connectionsEach = 100;
/** one batch is within what a single sandbox may ask in a second */
const lookups = 500;
const busyMs = 6000;
const MiB = 1024 * 1024;

export async function benchGatewayScale(): Promise<readonly BenchResult[]> {
  const folder = await mkdtemp(join(tmpdir(), 'casemate-bench-'));
  const ends: (() => unknown)[] = [() => rm(folder, { recursive: true, force: true })];
  try {
    return await measure(folder, ends);
  } finally {
    for (const end of ends.toReversed()) {
      await end();
    }
  }
}

async function measure(folder: string, ends: (() => unknown)[]): Promise<readonly BenchResult[]> {
  const outer = await createAuthority({ name: 'upstream' });
  const leaves = await createLeafSigner(outer);
  const upstreams = new Map<Way, { port: number; cert: string }>();
  for (const way of ways) {
    const cert = await leaves.sign(hosts[way]);
    const workerData: ScaleUpstreamData = { key: leaves.privateKeyPem, cert };
    const worker = new Worker(new URL('gateway-scale-upstream.ts', import.meta.url), { workerData });
    ends.push(() => worker.terminate());
    upstreams.set(way, { cert, port: await new Promise<number>((resolve) => worker.once('message', resolve)) });
  }
  const trust = join(folder, 'trust.pem');
  await writeFile(trust, outer.certificatePem);
  const home = { ...hostEnv, CASEMATE_HOME: join(folder, 'home'), HOME: folder, NODE_EXTRA_CA_CERTS: trust };
  const { port, cert } = upstreams.get('injection') ?? { port: 0, cert: '' };
  const bare = await startProcess(join(import.meta.dirname, 'gateway-scale-bare.ts'), {
    ends,
    env: { ...hostEnv, key: leaves.privateKeyPem, cert, ca: outer.certificatePem, upstream: String(port) },
  });
  const daemon = await startProcess(await bundle(join(folder, 'bundle')), { ends, env: home });
  const results = memoryRow('at rest', [daemon.first as ScaleFacts], { note: 'nothing attached' });
  const places = Array.from({ length: 50 }, (): Place => ({
    host: hosts.injection,
    port: bare.first as number,
    ca: outer.certificatePem,
  }));
  const alone = await busy(bare, places);
  results.push(
    ...memoryRow('of a bare Node proxy', alone.facts, {
      note: 'TLS to TLS, 50 connections, nothing else: what Node itself takes',
    }),
  );
  const ports = Object.fromEntries([...upstreams].map(([way, one]) => [way, one.port]));
  for (const count of counts) {
    results.push(...(await withSandboxes(count, daemon, { upstreams: ports, outerCa: outer.certificatePem })));
  }
  return results;
}

async function withSandboxes(
  count: number,
  daemon: Running,
  { upstreams, outerCa }: { readonly upstreams: Readonly<Record<string, number>>; readonly outerCa: string },
): Promise<BenchResult[]> {
  const sandboxes = (await daemon.ask({ do: 'attach', sandboxes: count, upstreams })) as readonly ScaleSandbox[];
  const attached = await facts(daemon);
  const client = startClient();
  const results: BenchResult[] = [];
  for (const way of ways) {
    const places = sandboxes.map((one): Place => ({ host: hosts[way], port: one[way], ca: way === 'splice' ? outerCa : one.ca }));
    // The first connection of each sandbox makes its certificate.
    await client.carryOut({ kind: 'connections', places, count: Math.max(count, 50) });
    const latency: number[] = [];
    const processor: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      const before = await facts(daemon);
      latency.push(...(await client.carryOut({ kind: 'connections', places, count: connectionsEach })));
      processor.push(((await facts(daemon)).cpuUs - before.cpuUs) / connectionsEach);
    }
    results.push(
      scaled({ name: `connection of ${way}, processor`, unit: 'µs', samples: processor }, count),
      scaled({ name: `connection of ${way}, latency`, unit: 'ms', samples: latency, note: 'handshake, request, 4 KiB' }, count),
    );
  }
  const perSecond: number[] = [];
  for (let round = 0; round < 2 * rounds; round += 1) {
    const took = (await daemon.ask({ do: 'look up', names: lookups })) as readonly number[];
    perSecond.push(lookups / (took.reduce((sum, ms) => sum + ms, 0) / 1000));
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  results.push(scaled({ name: 'name lookups', unit: 'names/s', samples: perSecond }, count));
  results.push(...memoryRow(`with ${count}, attached`, [attached], { note: 'nothing open' }));
  client.end();
  const places = sandboxes.map((one): Place => ({ host: hosts.injection, port: one.injection, ca: one.ca }));
  const worked = await busy(daemon, places);
  const note = `a connection each and a request every ${everyMs(count)} ms each`;
  results.push({ name: `gateway-scale/busy request, ${count} sandboxes`, unit: 'ms', samples: worked.samples, note });
  results.push({
    name: `gateway-scale/busy, without a processor, ${count} sandboxes`,
    unit: '%',
    samples: worked.waited,
    note: 'of the time, the daemon; where it is much, the machine is what a request waits for',
  });
  results.push(...memoryRow(`with ${count}, busy`, worked.facts, { note, ...(count === 50 ? { aim: '< 64 MiB' } : {}) }));
  return results;
}

/** About 200 requests a second in all, at least one every five seconds each. */
function everyMs(count: number): number {
  return Math.min(5000, Math.max(100, count * 5));
}

async function busy(running: Running, places: readonly Place[]) {
  const client = startClient();
  const started = { facts: await facts(running), atMs: performance.now() };
  const working = client.carryOut({ kind: 'traffic', places, everyMs: everyMs(places.length), ms: busyMs });
  const told: ScaleFacts[] = [];
  const timer = setInterval(() => {
    facts(running).then(
      (one) => told.push(one),
      // Its end is told to whoever waits for the work.
      () => undefined,
    );
  }, 250);
  try {
    const samples = await working;
    const waitedMs = (await facts(running)).waitedMs - started.facts.waitedMs;
    return { samples, waited: [(100 * waitedMs) / (performance.now() - started.atMs)], facts: told.slice(4) };
  } finally {
    clearInterval(timer);
    client.end();
  }
}

function scaled(row: BenchResult, count: number): BenchResult {
  const name = `gateway-scale/${row.name}`;
  const own = { ...row, name: `${name}, ${count} sandboxes` };
  return count === 1 || row.unit === 'names/s' ? own : { ...own, against: `${name}, 1 sandboxes`, aim: '< 1.2' };
}

function memoryRow(name: string, told: readonly ScaleFacts[], rest: Pick<BenchResult, 'note' | 'aim'>): BenchResult[] {
  const row = (kind: string, samples: readonly number[]) => ({
    name: `gateway-scale/${kind} ${name}`,
    unit: 'MiB',
    samples,
    ...rest,
  });
  return [
    row(
      'memory',
      told.map((one) => one.rssBytes / MiB),
    ),
    {
      ...row(
        'of it own',
        told.map((one) => one.ownBytes / MiB),
      ),
      aim: undefined,
      note: 'RssAnon: the rest are pages of files, the Node program above all',
    },
  ];
}

interface Running {
  readonly first: unknown;
  readonly ask: (order: ScaleOrder) => Promise<unknown>;
}

async function facts(running: Running): Promise<ScaleFacts> {
  return (await running.ask({ do: 'tell' })) as ScaleFacts;
}

async function startProcess(
  file: string,
  { ends, env }: { readonly ends: (() => unknown)[]; readonly env: Readonly<Record<string, string>> },
): Promise<Running> {
  const child = fork(file, { env, execArgv: [...daemonFlags], stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  ends.push(() => ended(child));
  const waiting: PromiseWithResolvers<unknown>[] = [Promise.withResolvers()];
  const [hello] = waiting;
  child.on('message', (message: { answer?: unknown; error?: string }) => {
    const next = waiting.shift();
    if (message.error === undefined) {
      next?.resolve(message.answer);
    } else {
      next?.reject(new Error(message.error));
    }
  });
  child.on('exit', () => waiting.splice(0).forEach((one) => one.reject(new Error('the measured process has ended'))));
  return {
    first: await hello?.promise,
    ask(order) {
      const answer = Promise.withResolvers<unknown>();
      waiting.push(answer);
      child.send(order);
      return answer.promise;
    },
  };
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.connected) {
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.disconnect();
    const late = setTimeout(() => child.kill('SIGKILL'), 5000);
    await gone;
    clearTimeout(late);
  }
}

function startClient() {
  const worker = new Worker(new URL('gateway-scale-client.ts', import.meta.url));
  return {
    async carryOut(task: ScaleTask): Promise<readonly number[]> {
      const answered = new Promise<{ samples?: number[]; error?: string }>((resolve, reject) => {
        worker.once('message', resolve);
        worker.removeAllListeners('error').once('error', reject);
      });
      worker.postMessage(task);
      const { samples, error } = await answered;
      if (samples === undefined) {
        throw new Error(`${task.kind}: ${error}`);
      }
      return samples;
    },
    end: () => void worker.terminate(),
  };
}

/** Sources that Node strips as it loads them would weigh as much again as what is measured. */
async function bundle(dir: string): Promise<string> {
  const made = await rolldown({
    input: { daemon: join(import.meta.dirname, 'gateway-scale-daemon.ts') },
    platform: 'node',
    plugins: [{ name: 'built-in-modules', renderChunk: takeBuiltIns }],
  });
  await made.write({
    dir,
    format: 'esm',
    minify: { compress: true, mangle: false },
    entryFileNames: '[name].mjs',
    chunkFileNames: '[name]-[hash].mjs',
  });
  await made.close();
  return join(dir, 'daemon.mjs');
}
