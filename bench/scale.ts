/**
 * Many sandboxes on one machine: what 200 idle and 40 busy ones cost in memory and processor time, how fast they are made,
 * and how long a command in one of them takes meanwhile. `SCALE_IDLE` and `SCALE_BUSY` take other numbers.
 */
import { readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { connectClient, type Client } from '../src/daemon/client.ts';
import { socketPath } from '../src/daemon/protocol.ts';
import { environmentOf, processEnvironment } from '../src/system/environment.ts';
import { pathsFrom } from '../src/system/paths.ts';
import { run } from '../src/system/process.ts';
import { processorMs } from './child.ts';
import { attempt } from './measure.ts';
import { blocked, type BenchResult } from './result.ts';
import { program, withSite, type Site } from './site.ts';

const idle = Number(processEnvironment.get('SCALE_IDLE') ?? 200);
const busy = Number(processEnvironment.get('SCALE_BUSY') ?? 40);
/** those that ask for sandboxes at once */
const makers = 4;
const commands = 100;
const restMs = 10_000;

export async function benchScale(): Promise<readonly BenchResult[]> {
  return await withSite(async (site) => {
    const shown = await attempt(process.execPath, [program, 'image', 'show', 'base', '--json'], { env: site.env });
    if (shown?.exitCode !== 0) {
      return [blocked('scale/sandboxes', '', 'there is no image "base"; run: casemate setup')];
    }
    return [...(await benchReady(site)), ...(await benchCrowd(site))];
  });
}

/** From the call to the running sandbox, with a container that waits and without any. */
async function benchReady(site: Site): Promise<readonly BenchResult[]> {
  const rounds = 12;
  const at = async (ready: number): Promise<readonly number[]> => {
    const client = await daemonWith(site, `ready: ${ready}`);
    const samples: number[] = [];
    try {
      for (let round = 0; round <= rounds; round += 1) {
        const { id, ms } = await makeOne(site, client);
        samples.push(ms);
        await client.call('destroy', { name: id });
        // Long enough for the next one to be made.
        await new Promise((resolve) => setTimeout(resolve, 400));
      }
    } finally {
      client.close();
    }
    // The first has none to take, and warms what is to be warm.
    return samples.slice(1);
  };
  const cold = await at(0);
  const warm = await at(2);
  return [
    {
      name: 'scale/create and start, a container waits',
      unit: 'ms',
      samples: warm,
      against: 'scale/create and start, none waits',
      aim: '< 60 ms, a tenth',
      note: 'two calls to the daemon, without the start of Node',
    },
    { name: 'scale/create and start, none waits', unit: 'ms', samples: cold, note: '`share: { ready: 0 }`' },
  ];
}

async function benchCrowd(site: Site): Promise<readonly BenchResult[]> {
  const client = await daemonWith(site, `running: ${idle + busy}, ready: 2`);
  try {
    const { pid, memoryBytes: restBytes } = await client.call('status', {});
    const { ids, samples, seconds } = await makeMany(site, client, idle);
    await new Promise((resolve) => setTimeout(resolve, 2000));
    const [first = ''] = ids;
    const idleUse = await memoryOf(client, ids.slice(0, 20));
    const grown = (await client.call('status', {})).memoryBytes - restBytes;
    const idleExec = await execTimes(client, first);
    const atRest = await shareOfProcessor(pid);
    const working = ids.slice(-busy);
    await Promise.all(working.map(async (id) => await startWork(client, id)));
    const atWork = shareOfProcessor(pid);
    const busyExec = await execTimes(client, first);
    const busyUse = await memoryOf(client, working);
    const counts = `${idle} idle`;
    return [
      { name: 'scale/made in a second', unit: 'sandboxes', samples: [idle / seconds], note: `${idle}, ${makers} at once` },
      { name: 'scale/create and start in a crowd', unit: 'ms', samples },
      { name: 'scale/memory of an idle sandbox, its processes', unit: 'KB', samples: idleUse.pss, note: 'proportional set size' },
      { name: 'scale/memory of an idle sandbox, its group', unit: 'KB', samples: idleUse.group, note: "with the kernel's part" },
      { name: 'scale/memory of an idle sandbox, in the daemon', unit: 'KB', samples: [grown / 1024 / idle] },
      { name: 'scale/memory of a busy sandbox, its group', unit: 'KB', samples: busyUse.group },
      {
        name: 'scale/daemon, resident',
        unit: 'MB',
        samples: [(restBytes + grown) / 1024 ** 2],
        note: `${counts}, with the program itself`,
      },
      { name: 'scale/daemon, share of one processor at rest', unit: '%', samples: [atRest], note: counts },
      {
        name: 'scale/daemon, share of one processor at work',
        unit: '%',
        samples: [await atWork],
        note: `${busy} busy, commands one after the other`,
      },
      ...percentiles('scale/exec true', idleExec, counts),
      ...percentiles('scale/exec true, others busy', busyExec, `${counts}, ${busy} of them busy`),
    ];
  } finally {
    client.close();
  }
}

/** The daemon is started anew, for what the policy says of all sandboxes. */
async function daemonWith(site: Site, share: string): Promise<Client> {
  await attempt(process.execPath, [program, 'daemon', 'stop', '--force'], { env: site.env });
  const paths = pathsFrom(environmentOf(site.env), process.geteuid?.() ?? 0);
  await mkdir(paths.config, { recursive: true, mode: 0o700 });
  await writeFile(join(paths.config, 'policy.yaml'), `version: 1\nshare: { ${share} }\n`);
  await attempt(process.execPath, [program, 'ls'], { env: site.env });
  return await connectClient({ socketPath: socketPath(paths), answer: async () => false });
}

async function makeOne(site: Site, client: Client): Promise<{ readonly id: string; readonly ms: number }> {
  const started = performance.now();
  const waive = site.waive.filter((word) => word !== '--waive');
  const { id } = await client.call('create', { cwd: site.project, waive });
  await client.call('start', { name: id });
  return { id, ms: performance.now() - started };
}

async function makeMany(site: Site, client: Client, count: number) {
  const started = performance.now();
  const made: { readonly id: string; readonly ms: number }[] = [];
  let begun = 0;
  const maker = async (): Promise<void> => {
    while (begun < count) {
      begun += 1;
      made.push(await makeOne(site, client));
    }
  };
  await Promise.all(Array.from({ length: makers }, maker));
  return {
    ids: made.map(({ id }) => id),
    samples: made.map(({ ms }) => ms),
    seconds: (performance.now() - started) / 1000,
  };
}

/** From the call to the end on record; whoever runs commands one after the other waits so long for each. */
async function execTimes(client: Client, name: string): Promise<readonly number[]> {
  const samples: number[] = [];
  for (let round = 0; round < commands; round += 1) {
    const started = performance.now();
    const { invocation, executionId } = await client.call('exec', { name, command: ['true'], env: {}, tty: false });
    const { exitCode } = await run(invocation.file, invocation.args, { env: { ...invocation.env } });
    await client.call('close', { executionId, exitCode });
    samples.push(performance.now() - started);
  }
  return samples;
}

/** A little of processor, memory and pipes, again and again: about what a watcher or a test run takes. */
async function startWork(client: Client, name: string): Promise<void> {
  const script = 'while :; do head -c 2000000 /dev/zero | sha256sum > /tmp/sum; sleep 1; done > /dev/null 2>&1 < /dev/null &';
  const command = ['sh', '-c', script];
  const { invocation, executionId } = await client.call('exec', { name, command, env: {}, tty: false });
  const { exitCode } = await run(invocation.file, invocation.args, { env: { ...invocation.env } });
  await client.call('close', { executionId, exitCode });
}

async function memoryOf(client: Client, ids: readonly string[]) {
  const pss: number[] = [];
  const group: number[] = [];
  for (const name of ids) {
    const { pids } = await client.call('processes', { name });
    pss.push(pids.reduce((sum, pid) => sum + pssKb(pid), 0));
    group.push(((await client.call('stats', { name })).memoryBytes ?? 0) / 1024);
  }
  return { pss, group };
}

/** Memory that would be free without this process, kB; what several map is shared among them (proc(5), smaps_rollup). */
function pssKb(pid: number): number {
  try {
    return Number(/^Pss:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}

async function shareOfProcessor(pid: number): Promise<number> {
  const before = processorMs(pid);
  await new Promise((resolve) => setTimeout(resolve, restMs));
  return ((processorMs(pid) - before) / restMs) * 100;
}

function percentiles(name: string, samples: readonly number[], note: string): readonly BenchResult[] {
  const sorted = samples.toSorted((a, b) => a - b);
  const at = (part: number): number => sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * part) - 1)] ?? 0;
  return [
    { name, unit: 'ms', samples, note: `${note}; the median` },
    { name: `${name}, p99`, unit: 'ms', samples: [at(0.99)], note },
  ];
}
