import { once } from 'node:events';
import { availableParallelism, loadavg } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

import { attack, control, type Row } from '../finding.ts';
import { hosts } from '../lab/hosts.ts';
import type { Lab, LabSandbox } from '../lab/lab.ts';
import { processFigures, startOf } from './figures.ts';

/**
 * What another sandbox and the gateway notice of an attack. While it lasts, the peer makes a whole request through the gateway
 * about ten times a second, and the daemon is observed from outside.
 */
export interface Watched {
  /** before the attack */
  readonly quietMs: readonly number[];
  /** before the attack: programs that waited for a processor, for each there is (getloadavg(3)) */
  readonly load: number;
  /** while it goes on; a request that failed has taken as long as one may */
  readonly peerMs: readonly number[];
  readonly faults: readonly string[];
  readonly daemon: DaemonFigures;
  /** `casemate ls` */
  readonly listMs: number | undefined;
}

export interface DaemonFigures {
  /** the same process before and after */
  readonly lives: boolean;
  readonly grownBytes: number;
  readonly descriptors: number;
}

const everyMs = 80;
const longestMs = 5000;
const leastSamples = 12;

export async function whileWatched<T>(
  lab: Lab,
  work: () => Promise<T>,
): Promise<{ readonly value: T; readonly watched: Watched }> {
  const peer = await lab.peer();
  const daemon = await followDaemon(await lab.daemon.pid());
  const going = new AbortController();
  try {
    await request(peer);
    const load = (loadavg()[0] ?? 0) / availableParallelism();
    const quiet = await sample(peer, 5);
    const sampling = samplesUntil(peer, going.signal);
    const listing = list(lab);
    const value = await work();
    const listMs = await listing;
    going.abort();
    const { taken, faults } = await sampling;
    return { value, watched: { quietMs: quiet.taken, load, peerMs: taken, faults, daemon: await daemon.end(), listMs } };
  } finally {
    going.abort();
    await daemon.end();
  }
}

interface Samples {
  readonly taken: number[];
  readonly faults: string[];
}

async function sample(peer: LabSandbox, count: number): Promise<Samples> {
  const samples: Samples = { taken: [], faults: [] };
  for (let nth = 0; nth < count; nth += 1) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other, at a pace
    await one(peer, samples);
  }
  return samples;
}

/** At least so many that the slowest of them says something. */
async function samplesUntil(peer: LabSandbox, signal: AbortSignal): Promise<Samples> {
  const samples: Samples = { taken: [], faults: [] };
  while (!signal.aborted || samples.taken.length < leastSamples) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other, at a pace
    await one(peer, samples);
  }
  return samples;
}

async function one(peer: LabSandbox, { taken, faults }: Samples): Promise<void> {
  const started = performance.now();
  try {
    await request(peer);
    taken.push(performance.now() - started);
  } catch (error) {
    taken.push(longestMs);
    faults.push(error instanceof Error ? error.message : String(error));
  }
  await sleep(Math.max(0, everyMs - (performance.now() - started)));
}

/** A look-up, a connection, a request and its whole answer, which an upstream gives. */
async function request(peer: LabSandbox): Promise<void> {
  const late = AbortSignal.timeout(longestMs);
  const stream = await Promise.race([peer.connect(hosts.allowed, 80), failAt(late)]);
  try {
    let text = '';
    stream.on('data', (piece: Buffer) => void (text += piece.toString('latin1')));
    stream.write(`GET /peer HTTP/1.1\r\nHost: ${hosts.allowed}\r\nConnection: close\r\n\r\n`);
    await once(stream, 'end', { signal: late });
    if (!text.startsWith('HTTP/1.1 200 ')) {
      throw new Error(`the answer was ${JSON.stringify(text.slice(0, 60))}`);
    }
  } finally {
    stream.destroy();
  }
}

async function failAt(signal: AbortSignal): Promise<never> {
  await once(signal, 'abort');
  throw new Error(`no connection within ${longestMs} ms`);
}

async function list({ casemate }: Lab): Promise<number | undefined> {
  const started = performance.now();
  const { code } = await casemate(['ls', '--json'], { timeoutMs: 20_000 }).catch(() => ({ code: 125 }));
  return code === 0 ? performance.now() - started : undefined;
}

async function followDaemon(pid: number) {
  const started = await startOf(pid);
  const first = await processFigures(pid, started);
  let most = first ?? { residentBytes: 0, descriptors: 0 };
  const look = async (): Promise<boolean> => {
    const now = await processFigures(pid, started);
    most = {
      residentBytes: Math.max(most.residentBytes, now?.residentBytes ?? 0),
      descriptors: Math.max(most.descriptors, now?.descriptors ?? 0),
    };
    return now !== undefined;
  };
  const timer = setInterval(() => void look(), 50);
  return {
    async end(): Promise<DaemonFigures> {
      clearInterval(timer);
      const lives = await look();
      return { lives, grownBytes: most.residentBytes - (first?.residentBytes ?? 0), descriptors: most.descriptors };
    },
  };
}

/** The slowest of a hundred, of fewer the slowest. */
export function quantile(samples: readonly number[], part: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
}

export interface Bounds {
  /** how much the daemon may grow */
  readonly daemonBytes?: number | undefined;
  /** how many descriptors it may have */
  readonly descriptors?: number | undefined;
}

const usualGrowth = 128 * 1024 * 1024;
const usualDescriptors = 1280;
const mib = (bytes: number): string => `${Math.round(bytes / 1024 / 1024)} MiB`;
const mostMs = 1000;
const mostListMs = 5000;
/** Slower than this without any attack, or more programs than this for each processor: the machine is busy with other things. */
const busyMs = 250;
const busyLoad = 3;
const isBusy = ({ quietMs, load }: Watched): boolean => quantile(quietMs, 0.5) > busyMs || load > busyLoad;

/** `first`: of a try before this one, in which others were slow */
export function watchedRows(watched: Watched, bounds: Bounds = {}, first?: Watched): readonly Row[] {
  return [...peerRows(watched, first), gatewayRow(watched, bounds), listRow(watched)];
}

/** One slow request in a hundred may be the doing of anything on this machine; what an attack does, it does again. */
export function isSlowed({ peerMs, faults }: Watched): boolean {
  return faults.length === 0 && quantile(peerMs, 0.99) >= mostMs;
}

function peerRows(watched: Watched, first?: Watched): readonly Row[] {
  const { quietMs, peerMs, faults, load } = watched;
  const [slow, quiet] = [quantile(peerMs, 0.99), quantile(quietMs, 0.5)];
  const words = faults.length === 0 ? '' : `, ${faults.length} failed: ${faults[0] ?? ''}`;
  const before = first === undefined ? '' : `; ${Math.round(quantile(first.peerMs, 0.99))} ms at a first try`;
  return [
    attack('requests of another sandbox meanwhile', {
      expected: `p99 below ${mostMs} ms, none fails`,
      seen: `p99 ${Math.round(slow)} ms, p50 ${Math.round(quantile(peerMs, 0.5))} ms of ${peerMs.length}${words}${before}`,
      ok: slow < mostMs && faults.length === 0 ? true : isBusy(watched) ? undefined : false,
      from: 'outside',
    }),
    control('requests of the other sandbox before', {
      expected: 'answered',
      seen: `p50 ${Math.round(quiet)} ms of ${quietMs.length}, ${load.toFixed(1)} programs for each processor`,
      ok: quietMs.length > 0 && quiet < longestMs,
      from: 'outside',
    }),
  ];
}

function gatewayRow({ daemon }: Watched, { daemonBytes = usualGrowth, descriptors = usualDescriptors }: Bounds): Row {
  return attack('the gateway', {
    expected: `the same process, grown by less than ${mib(daemonBytes)}, at most ${descriptors} descriptors`,
    seen: `${daemon.lives ? 'the same process' : 'gone'}, +${mib(daemon.grownBytes)}, ${daemon.descriptors} descriptors`,
    ok: daemon.lives && daemon.grownBytes < daemonBytes && daemon.descriptors <= descriptors,
    from: 'outside',
  });
}

function listRow(watched: Watched): Row {
  const { listMs } = watched;
  return attack('casemate ls', {
    expected: `answers within ${mostListMs} ms`,
    seen: listMs === undefined ? 'failed' : `${Math.round(listMs)} ms`,
    ok: listMs !== undefined && listMs < mostListMs ? true : isBusy(watched) ? undefined : false,
    from: 'outside',
  });
}
