import { readdir, readlink, stat } from 'node:fs/promises';

import { eventually } from '../eventually.ts';
import { namespaceOf, readProcess, statusFields } from '../host-view.ts';
import { limitsOf } from './running-process.ts';

/** What this host's kernel says of a process that entered a sandbox by some way: everything that confines it. */
export interface EntryView {
  /** what every process of a sandbox has in common, by name */
  readonly shared: Readonly<Record<string, string>>;
  /** what those of commands have in common: ids, groups, folder */
  readonly own: Readonly<Record<string, string>>;
  /** numbers of the open descriptors */
  readonly descriptors: readonly number[];
  /** of them those that are terminals of this host */
  readonly hostTerminals: readonly number[];
  /** it has a controlling terminal */
  readonly hasTerminal: boolean;
  /** each `NAME=value` */
  readonly variables: readonly string[];
}

const kinds = ['pid', 'net', 'ipc', 'uts', 'mnt', 'user', 'cgroup', 'time'];
const sharedFields = ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb', 'NoNewPrivs', 'Seccomp', 'Seccomp_filters', 'Umask'];
const namespaceName = (kind: string): string => `${kind} namespace`;
const ownFields = ['Uid', 'Gid', 'Groups'];

export async function entryView(pid: number): Promise<EntryView> {
  const [status, namespaces, group, limits, score, environ, line, cwd, files, hostTerminal] = await Promise.all([
    readProcess(pid, 'status'),
    Promise.all(kinds.map((kind) => namespaceOf(pid, kind))),
    readProcess(pid, 'cgroup'),
    readProcess(pid, 'limits'),
    readProcess(pid, 'oom_score_adj'),
    readProcess(pid, 'environ'),
    readProcess(pid, 'stat'),
    readlink(`/proc/${pid}/cwd`).catch(() => ''),
    openFiles(pid),
    stat('/dev/pts').catch(() => undefined),
  ]);
  const fields = statusFields(status);
  const pick = (names: readonly string[]) => Object.fromEntries(names.map((name) => [name, fields[name]?.trim() ?? 'absent']));
  return {
    shared: {
      ...pick(sharedFields),
      ...Object.fromEntries(kinds.map((kind, index) => [namespaceName(kind), namespaces[index] ?? ''])),
      ...limitsOf(limits),
      'control groups': group.trim(),
      'score when memory is short': score.trim(),
    },
    own: { ...pick(ownFields), 'working folder': cwd },
    descriptors: files.map(({ number }) => number),
    hostTerminals: files.filter(({ device }) => device === hostTerminal?.dev).map(({ number }) => number),
    // Field 7 of proc(5), behind a name that may hold anything.
    hasTerminal: Number(line.slice(line.lastIndexOf(')') + 2).split(' ')[4] ?? 0) !== 0,
    variables: environ.split('\0').filter((variable) => variable !== ''),
  };
}

/** With what the engine tells of namespaces, by their kinds, where whoever proves may not look at the process. Pure. */
export function withNamespaces(view: EntryView, told: Readonly<Record<string, string>>): EntryView {
  const hidden = kinds.filter((kind) => view.shared[namespaceName(kind)] === '' && told[kind] !== undefined);
  return {
    ...view,
    shared: { ...view.shared, ...Object.fromEntries(hidden.map((kind) => [namespaceName(kind), told[kind] ?? ''])) },
  };
}

async function openFiles(pid: number) {
  const names = await readdir(`/proc/${pid}/fd`).catch(() => []);
  const files = await Promise.all(
    names.map(async (name) => ({
      number: Number(name),
      device: (await stat(`/proc/${pid}/fd/${name}`).catch(() => undefined))?.dev,
    })),
  );
  return files.toSorted((a, b) => a.number - b.number);
}

/** Host id of the process with this word among its arguments that is in another process namespace than this one. */
export async function processInside(word: string, limitMs = 15_000): Promise<number | undefined> {
  const own = await namespaceOf('self', 'pid');
  return await eventually(async () => {
    const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
    const found = await Promise.all(
      pids.map(async (pid) => {
        const words = (await readProcess(pid, 'cmdline')).split('\0');
        const isInside = words.includes(word) && ![own, ''].includes(await namespaceOf(pid, 'pid'));
        return isInside && words[0] === 'perl' ? [pid] : [];
      }),
    );
    return found.flat()[0];
  }, limitMs);
}

/** Names whose values differ, with both. */
export function differences(
  wanted: Readonly<Record<string, string>>,
  found: Readonly<Record<string, string>>,
): readonly string[] {
  const names = [...new Set([...Object.keys(wanted), ...Object.keys(found)])];
  return names
    .filter((name) => wanted[name] !== found[name])
    .map((name) => `${name}: ${found[name] ?? 'absent'} and not ${wanted[name] ?? 'absent'}`);
}
