import { constants } from 'node:fs';
import { open, readFile, readdir, type FileHandle } from 'node:fs/promises';

import { dataFile } from '../../system/data-file.ts';
import { spawnProcess } from '../../system/process.ts';

/**
 * Searches a sandbox from outside for texts: in the environment, the arguments and the whole readable memory of its processes,
 * and in the files of a folder. Every search includes a text that must be found; otherwise its "not found" is void.
 */
export interface Needle {
  readonly name: string;
  readonly text: string;
}

/** For each needle, the places where it was seen. */
export type Sightings = Readonly<Record<string, readonly string[]>>;

export interface SearchReport {
  readonly seen: Sightings;
  readonly bytes: number;
  readonly places: number;
}

const chunkBytes = 4 * 1024 * 1024;

export function emptyReport(needles: readonly Needle[]): SearchReport {
  return { seen: Object.fromEntries(needles.map(({ name }) => [name, []])), bytes: 0, places: 0 };
}

export function joinReports(first: SearchReport, second: SearchReport): SearchReport {
  const names = new Set([...Object.keys(first.seen), ...Object.keys(second.seen)]);
  const seen = [...names].map(
    (name) => [name, [...new Set([...(first.seen[name] ?? []), ...(second.seen[name] ?? [])])]] as const,
  );
  return { seen: Object.fromEntries(seen), bytes: first.bytes + second.bytes, places: first.places + second.places };
}

/** One process of the host. A process that ends meanwhile counts as far as it was read. */
export async function searchProcess(pid: number, needles: readonly Needle[]): Promise<SearchReport> {
  const report = await searchWords(pid, needles);
  const regions = regionsOf(await readFile(`/proc/${pid}/maps`, 'utf8').catch(() => ''));
  const searching = { needles, place: `process ${pid} memory` };
  const memory = await open(`/proc/${pid}/mem`, 'r').catch(() => undefined);
  if (memory === undefined) {
    return joinReports(report, await searchEntered(pid, regions, searching));
  }
  try {
    return joinReports(report, await searchRegions(memory, regions, searching));
  } finally {
    await memory.close();
  }
}

/** A process with the ids of a user namespace that is ours, as gVisor's are for an ordinary user: read by one that entered it. */
async function searchEntered(pid: number, regions: readonly Region[], { needles, place }: Searching): Promise<SearchReport> {
  const args = ['--user', '--target', String(pid), 'perl', dataFile('proof/outside/memory.pl'), String(pid)];
  const child = spawnProcess('nsenter', args, { env: { PATH: '/usr/bin:/bin' }, stdio: ['pipe', 'pipe', 'ignore'] });
  child.on('error', () => undefined);
  child.stdin?.on('error', () => undefined);
  child.stdin?.end(regions.map(({ start, end }) => `${start.toString(16)} ${end.toString(16)}\n`).join(''));
  const overlap = Math.max(...needles.map(({ text }) => text.length));
  let report = emptyReport(needles);
  let waiting: Buffer[] = [];
  let length = 0;
  const search = (): void => {
    const bytes = Buffer.concat(waiting);
    report = joinReports(report, searchBytes(bytes, needles, place));
    waiting = [bytes.subarray(Math.max(0, bytes.length - overlap))];
    length = 0;
  };
  for await (const piece of child.stdout ?? []) {
    // oxlint-disable-next-line no-unsafe-type-assertion -- a stream without an encoding gives buffers
    const bytes = piece as Buffer;
    waiting.push(bytes);
    length += bytes.length;
    if (length >= chunkBytes) {
      search();
    }
  }
  search();
  return report;
}

/** What a process was started with alone: its environment and its arguments. */
export async function searchWords(pid: number, needles: readonly Needle[]): Promise<SearchReport> {
  let report = emptyReport(needles);
  for (const name of ['environ', 'cmdline']) {
    // oxlint-disable-next-line no-await-in-loop -- two small files
    const bytes = await readFile(`/proc/${pid}/${name}`).catch(() => Buffer.alloc(0));
    report = joinReports(report, searchBytes(bytes, needles, `process ${pid} ${name}`));
  }
  return report;
}

interface Region {
  readonly start: number;
  readonly end: number;
}

/** Readable regions that may hold data: anonymous and private ones (proc(5)); read-only file mappings hold the program. */
export function regionsOf(maps: string): readonly Region[] {
  return maps.split('\n').flatMap((line) => {
    const [, start, end, rights = '', path = ''] = /^([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+\s*(.*)$/.exec(line) ?? [];
    const special = path.startsWith('[v');
    const readable = rights.startsWith('r') && (rights[1] === 'w' || path === '');
    return start === undefined || end === undefined || special || !readable
      ? []
      : [{ start: Number.parseInt(start, 16), end: Number.parseInt(end, 16) }];
  });
}

interface Searching {
  readonly needles: readonly Needle[];
  readonly place: string;
}

async function searchRegions(
  memory: FileHandle,
  regions: readonly Region[],
  { needles, place }: Searching,
): Promise<SearchReport> {
  const overlap = Math.max(...needles.map(({ text }) => text.length));
  const buffer = Buffer.alloc(chunkBytes + overlap);
  let report = emptyReport(needles);
  for (const { start, end } of regions) {
    for (let at = start; at < end; at += chunkBytes) {
      const wanted = Math.min(chunkBytes + overlap, end - at);
      // oxlint-disable-next-line no-await-in-loop -- one buffer, one region after the other
      const got = await memory.read(buffer, 0, wanted, at).catch(() => ({ bytesRead: 0 }));
      report = joinReports(report, searchBytes(buffer.subarray(0, got.bytesRead), needles, place));
    }
  }
  return report;
}

function searchBytes(bytes: Buffer, needles: readonly Needle[], place: string): SearchReport {
  const seen = needles.map(({ name, text }) => [name, bytes.includes(text) ? [place] : []] as const);
  return { seen: Object.fromEntries(seen), bytes: bytes.length, places: bytes.length > 0 ? 1 : 0 };
}

const maxFileBytes = 64 * 1024 * 1024;

/** Regular files below a folder, whatever their names; links are not followed, and a folder that is closed hides only itself. */
export async function searchFolder(folder: string, needles: readonly Needle[]): Promise<SearchReport> {
  let report = emptyReport(needles);
  const waiting = [Buffer.from(folder)];
  for (let here = waiting.pop(); here !== undefined; here = waiting.pop()) {
    // oxlint-disable-next-line no-await-in-loop -- bounded memory
    for (const entry of await readdir(here, { withFileTypes: true, encoding: 'buffer' }).catch(() => [])) {
      const path = Buffer.concat([here, Buffer.from('/'), entry.name]);
      if (entry.isDirectory()) {
        waiting.push(path);
      } else if (entry.isFile()) {
        // oxlint-disable-next-line no-await-in-loop -- as above
        report = joinReports(report, searchBytes(await readRegular(path), needles, path.toString('utf8')));
      }
    }
  }
  return report;
}

async function readRegular(path: Buffer): Promise<Buffer> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(() => undefined);
  try {
    const stats = await file?.stat();
    return file === undefined || stats === undefined || !stats.isFile() || stats.size > maxFileBytes
      ? Buffer.alloc(0)
      : await file.readFile();
  } finally {
    await file?.close();
  }
}
