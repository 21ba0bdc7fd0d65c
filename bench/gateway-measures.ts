/** What is measured on each way through a gateway, and what is aimed at. */
import type { Call, Way } from './gateway-way.ts';
import type { Task } from './gateway-client.ts';
import { blocked, median, type BenchResult } from './result.ts';

interface Measure {
  readonly name: string;
  readonly task: Omit<Task, 'target'>;
  readonly note: string;
  /** figure of a sample: milliseconds of one, requests or megabytes a second of the other kinds */
  readonly rate?: number | undefined;
  readonly unit: 'ms' | 'MB/s' | 'requests/s';
  /** what one unit of processor time is divided by: requests, or megabytes */
  readonly per: { readonly count: number; readonly unit: string };
}

const rounds = 5;
const warmUp = 3000;
const warmConnections = 100;
const megabytes = 64;
const some = 60;
const many = 1200;
const freshAtOnce = 160;

const small = { bytes: 100, requests: some };
const bulk = { bytes: megabytes * 1e6, requests: 1 };
const perRequest = { count: some, unit: 'us a request' };
const perMegabyte = { count: megabytes, unit: 'us a MB' };

export const measures: readonly Measure[] = [
  {
    name: 'request',
    task: { kind: 'kept', version: '1.1', ...small },
    note: 'HTTP/1.1, connection kept, 100 bytes',
    unit: 'ms',
    per: perRequest,
  },
  {
    name: 'request over HTTP/2',
    task: { kind: 'kept', version: '2', ...small },
    note: 'HTTP/2, connection kept, 100 bytes',
    unit: 'ms',
    per: perRequest,
  },
  {
    name: 'request, new connection',
    task: { kind: 'fresh', version: '1.1', bytes: 100, requests: some / 2 },
    note: 'HTTP/1.1, a full TLS handshake each',
    unit: 'ms',
    per: { count: some / 2, unit: 'us a request' },
  },
  {
    name: 'new connections at once',
    task: { kind: 'fresh at once', version: '1.1', bytes: 100, requests: freshAtOnce },
    note: '16 at a time, a full TLS handshake each',
    rate: freshAtOnce,
    unit: 'requests/s',
    per: { count: freshAtOnce, unit: 'us a request' },
  },
  {
    name: 'first event',
    task: { kind: 'first event', version: '1.1', bytes: 0, requests: some / 4 },
    note: 'until the first server-sent event is there, connection kept',
    unit: 'ms',
    per: { count: some / 4, unit: 'us a request' },
  },
  {
    name: 'requests at once',
    task: { kind: 'at once', version: '1.1', bytes: 100, requests: many },
    note: 'HTTP/1.1 over 16 kept connections',
    rate: many,
    unit: 'requests/s',
    per: { count: many, unit: 'us a request' },
  },
  {
    name: 'requests at once over HTTP/2',
    task: { kind: 'at once', version: '2', bytes: 100, requests: many },
    note: '16 streams of one HTTP/2 connection',
    rate: many,
    unit: 'requests/s',
    per: { count: many, unit: 'us a request' },
  },
  {
    name: 'download',
    task: { kind: 'download', version: '1.1', ...bulk },
    note: `${megabytes} MB over one connection, HTTP/1.1`,
    rate: megabytes,
    unit: 'MB/s',
    per: perMegabyte,
  },
  {
    name: 'upload',
    task: { kind: 'upload', version: '1.1', ...bulk },
    note: `${megabytes} MB over one connection, HTTP/1.1`,
    rate: megabytes,
    unit: 'MB/s',
    per: perMegabyte,
  },
  {
    name: 'download over HTTP/2',
    task: { kind: 'download', version: '2', ...bulk },
    note: `${megabytes} MB in one stream`,
    rate: megabytes,
    unit: 'MB/s',
    per: perMegabyte,
  },
];

interface Taken {
  readonly samples: number[];
  readonly added: number[];
  readonly processor: number[];
  /** why it was given up */
  fault?: string;
}

/** Each round takes every way in turn; the first one only warms up. */
export async function measureWays(ways: readonly Way[], call: Call, chosen = measures): Promise<readonly BenchResult[]> {
  const results: BenchResult[] = [];
  // What is written in JavaScript or Python gets its chance to be compiled.
  for (const way of ways) {
    await call(way, { kind: 'at once', version: '1.1', bytes: 100, requests: warmUp });
    await call(way, { kind: 'fresh', version: '1.1', bytes: 100, requests: warmConnections });
  }
  for (const measure of chosen) {
    const able = ways.filter(({ speaksHttp2 }) => speaksHttp2 || measure.task.version === '1.1');
    const taken = new Map(able.map(({ name }): [string, Taken] => [name, { samples: [], added: [], processor: [] }]));
    for (let round = 0; round <= rounds; round += 1) {
      await oneRound({ measure, able, taken, call, isWarmUp: round === 0 });
    }
    results.push(...able.flatMap((way) => rows(measure, way, taken.get(way.name))));
  }
  return results;
}

interface Round {
  readonly measure: Measure;
  readonly able: readonly Way[];
  readonly taken: ReadonlyMap<string, Taken>;
  readonly call: Call;
  readonly isWarmUp: boolean;
}

async function oneRound({ measure, able, taken, call, isWarmUp }: Round): Promise<void> {
  let direct = 0;
  for (const way of able) {
    const own = taken.get(way.name);
    if (own === undefined || own.fault !== undefined) {
      continue;
    }
    try {
      const { samples, processorMs } = await call(way, measure.task);
      const middle = median(samples) ?? 0;
      direct = way.name === 'direct' ? middle : direct;
      if (!isWarmUp) {
        own.samples.push(...samples.map((ms) => (measure.rate === undefined ? ms : measure.rate / (ms / 1000))));
        own.added.push(middle - direct);
        own.processor.push((processorMs * 1000) / measure.per.count);
      }
    } catch (error) {
      own.fault = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
    }
  }
}

function rows(measure: Measure, { name: way, pid }: Way, taken: Taken | undefined): readonly BenchResult[] {
  const { name, unit, note, per, rate } = measure;
  const { samples, added, processor } = taken ?? { samples: [], added: [], processor: [] };
  if (taken?.fault !== undefined) {
    return [blocked(`gateway/${name}, ${way}`, unit, taken.fault)];
  }
  const row: BenchResult = { name: `gateway/${name}, ${way}`, unit, samples, note, ...compared(measure, way) };
  const extra: BenchResult = {
    name: `gateway/${name}, added by ${way}`,
    unit: 'ms',
    samples: added,
    aim: aimOfAdded(measure, way),
    note: 'median of a round over the direct one of the same round',
  };
  const time: BenchResult = {
    name: `gateway/${name}, processor ${way}`,
    unit: per.unit,
    samples: processor,
    note: 'of that process alone',
  };
  return [row, ...(way === 'direct' || rate !== undefined ? [] : [extra]), ...(pid === undefined ? [] : [time])];
}

/** Only what keeps its connection has one: a handshake costs what it costs. */
function aimOfAdded({ task }: Measure, way: string): string | undefined {
  const aims: Readonly<Record<string, string>> = { 'splice casemate': '< 0.5', 'injection casemate': '< 1' };
  return task.kind === 'kept' || task.kind === 'first event' ? aims[way] : undefined;
}

function compared({ name, rate }: Measure, way: string): Pick<BenchResult, 'against' | 'aim' | 'also'> {
  const row = (other: string): string => `gateway/${name}, ${other}`;
  if (way === 'splice casemate') {
    const aim = rate === undefined ? '<= 1' : '>= 1';
    return { against: row('splice squid'), aim, also: [{ against: row('splice srt'), aim }] };
  }
  if (way !== 'injection casemate') {
    return {};
  }
  const aims = rate === undefined ? ['<= 0.33', '< 1'] : ['>= 3', '> 1'];
  return {
    against: row('injection mitmproxy'),
    aim: aims[0],
    also: [{ against: row('injection srt'), aim: aims[1] ?? '' }],
  };
}
