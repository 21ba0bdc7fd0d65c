import { open, readdir, readFile, readlink, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { engineLayout } from '../../engines/oci/folders.ts';
import { containerOf, engineRecords } from '../../engines/records.ts';
import { identifyProcess } from '../../system/process-identity.ts';
import { namespaceOf, readProcess, visibleOf } from '../host-view.ts';
import { withVisibleCommand } from '../visible-command.ts';
import { textOf } from '../../engines/docker/read-json.ts';
import { dockerParts } from '../lab/docker-view.ts';
import type { Lab, LabSandbox } from '../lab/lab.ts';
import { entriesBelow } from './tree.ts';
import { groupPaths } from './running-process.ts';

/** What a sandbox is on this host while it runs, and what of that is still there later, according to the kernel and the disk. */
export interface Traces {
  /** its id, and what the runtime knows it by */
  readonly names: readonly string[];
  /** texts that only it has: what was written in its home, what stands for its key */
  readonly words: readonly string[];
  /** e.g. `net:[4026532281]` */
  readonly namespaces: readonly string[];
  /** folders of its control groups */
  readonly groups: readonly string[];
  /** the file that holds its range of host ids; `undefined` for an ordinary user */
  readonly slotFile: string | undefined;
}

const kinds = ['pid', 'net', 'ipc', 'uts', 'mnt', 'user', 'cgroup'];
/** Its images are sparse and made anew; the state file and the journal may name what was. */
const mayName = /\.ext4(?:\.new)?$|state\.sqlite|^journal\//;

/** Of one that runs. */
export async function tracesOf(lab: Lab, sandbox: LabSandbox, words: readonly string[]): Promise<Traces> {
  const { id, target } = sandbox;
  const engine = target.plan?.engine ?? 'oci';
  const containers = engine === 'oci' ? undefined : await dockerParts(lab, sandbox);
  const layout = engineLayout({ state: join(lab.places.state, 'engine'), run: join(lab.places.runtime, 'engine') });
  const records = containers === undefined ? layout.records : join(lab.places.state, engine, 'sandboxes');
  const record = await engineRecords(records).get(id);
  const ids = [id, containerOf(record), textOf(containers?.keeper['Id']), textOf(containers?.sandbox['Id'])];
  const names = [...new Set(ids.filter((name) => name !== ''))];
  const [first = 0] = await target.processes();
  const namespaces = await withVisibleCommand(target, async () => {
    const visible = (await visibleOf(await target.processes())) ?? first;
    return Promise.all(kinds.map((kind) => namespaceOf(visible, kind)));
  });
  const own = await Promise.all(kinds.map((kind) => namespaceOf('self', kind)));
  const groups = groupPaths(await readProcess(first, 'cgroup'));
  const folders = [...groups].map(([controller, path]) => join('/sys/fs/cgroup', controller, path));
  const isOwn = await Promise.all(
    folders.map(async (folder) => names.some((name) => folder.includes(name)) && (await exists(folder))),
  );
  return {
    names,
    words,
    namespaces: namespaces.filter((name, index) => name !== '' && name !== own[index]),
    groups: folders.filter((_, index) => isOwn[index] === true),
    slotFile: record.slot === undefined ? undefined : join(layout.slots, String(record.slot)),
  };
}

/** Clock ticks since the machine started, as `/proc/PID/stat` has them (100 a second on every architecture of ours). */
export async function ticksNow(): Promise<number> {
  const [seconds = '0'] = (await readFile('/proc/uptime', 'utf8')).split(' ');
  return Math.ceil(Number(seconds) * 100);
}

/**
 * Brings a sandbox to the state from which it is destroyed. `ticks`: whoever began until then is of it. Where it ends with that
 * (`endsBefore`), whoever begins meanwhile may be of the next one, made ahead, in namespaces that have the numbers of this one's.
 */
export async function broughtTo<T>(before: () => Promise<T>, endsBefore: boolean) {
  const earlier = await ticksNow();
  const result = await before();
  return { result, ticks: endsBefore ? earlier : await ticksNow() };
}

/**
 * A line for each thing that is still there. Numbers of namespaces are given away again: who is in one of them counts only
 * where it was started until then, `ticks` of the clock.
 */
export async function remainsOf({ places }: Pick<Lab, 'places'>, traces: Traces, ticks: number): Promise<readonly string[]> {
  const { names, namespaces, groups, slotFile } = traces;
  const [processes, mounts, devices, files, left, slot] = await Promise.all([
    processesLeft(traces, ticks),
    mountsLeft(names),
    devicesLeft(names),
    Promise.all([places.state, places.runtime, places.config].map((folder) => filesLeft(folder, traces))),
    Promise.all(groups.map(async (folder) => ((await exists(folder)) ? [`control group ${folder}`] : []))),
    slotFile === undefined ? '' : readFile(slotFile, 'utf8').catch(() => ''),
  ]);
  return [
    ...processes,
    ...mounts,
    ...devices,
    ...files.flat(),
    ...left.flat(),
    ...(names.includes(slot) ? [`range of ids in ${slotFile ?? ''}`] : []),
    ...(namespaces.length === 0 ? ['its namespaces were never seen'] : []),
  ];
}

async function processIds(): Promise<readonly number[]> {
  return (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
}

/** In one of its namespaces, or told to work on it. */
async function processesLeft({ names, namespaces }: Traces, ticks: number): Promise<readonly string[]> {
  const found = await Promise.all(
    (await processIds()).map(async (pid) => {
      const [command, identity, ...spaces] = await Promise.all([
        readProcess(pid, 'cmdline'),
        identifyProcess(pid),
        ...kinds.map((kind) => namespaceOf(pid, kind)),
      ]);
      const words = command.replaceAll('\0', ' ').trim();
      const isOld = Number(identity?.startTicks ?? Infinity) <= ticks;
      const isInside = isOld && spaces.some((space) => namespaces.includes(space));
      return isInside || names.some((name) => words.includes(name)) ? [`process ${pid}: ${words.slice(0, 80)}`] : [];
    }),
  );
  return found.flat();
}

/** In any mount namespace of this host. */
async function mountsLeft(names: readonly string[]): Promise<readonly string[]> {
  const byNamespace = new Map<string, number>();
  for (const pid of await processIds()) {
    // oxlint-disable-next-line no-await-in-loop -- a link each
    byNamespace.set(await namespaceOf(pid, 'mnt'), pid);
  }
  const tables = await Promise.all([...byNamespace.values()].map((pid) => readProcess(pid, 'mountinfo')));
  const lines = tables.flatMap((text) => text.split('\n')).filter((line) => names.some((name) => line.includes(name)));
  return [...new Set(lines)].map((line) => `mount ${line.split(' ')[4] ?? ''}`);
}

async function devicesLeft(names: readonly string[]): Promise<readonly string[]> {
  const blocks = (await readdir('/sys/block').catch(() => [])).filter((name) => name.startsWith('loop'));
  const found = await Promise.all(
    blocks.map(async (block) => {
      const file = await readFile(`/sys/block/${block}/loop/backing_file`, 'utf8').catch(() => '');
      return names.some((name) => file.includes(name)) ? [`${block} for ${file.trim()}`] : [];
    }),
  );
  return found.flat();
}

/** By name and by content; nothing is followed. */
async function filesLeft(folder: string, { names, words }: Traces): Promise<readonly string[]> {
  const entries = await entriesBelow(folder);
  const found = await Promise.all(
    entries.map(async ({ path, kind, size }) => {
      const target = kind === 'link' ? await readlink(join(folder, path)).catch(() => '') : '';
      const isNamed = names.some((name) => path.includes(name) || target.includes(name));
      const sought = mayName.test(path) ? words : [...names, ...words];
      const holds = kind === 'file' && size < greatestBytes && (await holdsOneOf(join(folder, path), sought));
      return isNamed || holds ? [`${isNamed ? 'file' : 'content of'} ${path}`] : [];
    }),
  );
  return found.flat();
}

const greatestBytes = 64 * 1024 * 1024;

async function holdsOneOf(path: string, words: readonly string[]): Promise<boolean> {
  const file = await open(path).catch(() => undefined);
  try {
    const bytes = (await file?.readFile()) ?? Buffer.alloc(0);
    return words.some((word) => bytes.includes(word));
  } finally {
    await file?.close();
  }
}

async function exists(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  );
}
