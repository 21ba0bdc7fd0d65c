/** What of one home is on this host: processes, mounts, groups, block devices. Read from the kernel, never from the product. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

export interface HostProcess {
  readonly pid: number;
  readonly parent: number;
  readonly command: string;
  /** id of the sandbox whose group or mounts it has */
  readonly sandbox: string | undefined;
  /** id of the sandbox that it was told to work on */
  readonly worksOn: string | undefined;
}

export interface HostView {
  readonly processes: readonly HostProcess[];
  /** of this very mount namespace */
  readonly mounts: readonly string[];
  /** sandboxes that have groups */
  readonly groups: readonly string[];
  /** groups that dead processes made to try whether they can */
  readonly probes: readonly string[];
  /** files that block devices show */
  readonly devices: readonly string[];
}

/** A sandbox, and a name by which the host knows it. */
export interface Named {
  readonly id: string;
  readonly name: string;
}

/** `root` is the folder that all of the home lies below; `sandboxes` are all it ever had; `groupsTop`: where groups are mounted. */
export function viewHost(root: string, sandboxes: readonly Named[], groupsTop = '/sys/fs/cgroup'): HostView {
  const mounts = textOf('/proc/self/mountinfo')
    .split('\n')
    .filter((line) => line.includes(root) || idIn(line, sandboxes) !== undefined);
  const processes = processesOf(root, sandboxes, mounts.length > 0);
  return { processes, mounts, groups: groupsOf(sandboxes, groupsTop), probes: probesOf(groupsTop), devices: devicesOf(root) };
}

function idIn(text: string, sandboxes: readonly Named[]): string | undefined {
  return sandboxes.find(({ name }) => text.includes(name))?.id;
}

function processesOf(root: string, sandboxes: readonly Named[], hostHasMounts: boolean): readonly HostProcess[] {
  const own = namespaceOf('self');
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) {
      return [];
    }
    const of = (file: string): string => textOf(`/proc/${name}/${file}`);
    const stat = of('stat');
    const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (state === undefined || state === 'Z' || state === 'X') {
      return [];
    }
    const command = of('cmdline').replaceAll('\0', ' ').trim();
    // Those of this namespace have our own mounts, which say nothing about them.
    const mounts = hostHasMounts || namespaceOf(name) === own ? '' : of('mountinfo');
    const texts = [command, of('environ'), of('cgroup'), mounts].join('\n');
    if (!texts.includes(root) && idIn(texts, sandboxes) === undefined) {
      return [];
    }
    const sandbox = idIn(`${of('cgroup')}\n${mounts}`, sandboxes);
    return [{ pid: Number(name), parent: Number(parent), command, sandbox, worksOn: idIn(command, sandboxes) }];
  });
}

function namespaceOf(pid: string): string {
  try {
    return readlinkSync(`/proc/${pid}/ns/mnt`);
  } catch {
    return '';
  }
}

function groupsOf(sandboxes: readonly Named[], top: string): readonly string[] {
  const ofAll = ['.', ...namesIn(top)].map((controller) => join(top, controller, 'casemate'));
  const found = ofAll.flatMap((folder) => namesIn(folder).flatMap((name) => [name, ...namesIn(join(folder, name))]));
  return [...new Set(found.flatMap((group) => sandboxes.find(({ name }) => name === group)?.id ?? []))].toSorted();
}

/** Groups that a process made to see whether it can, and that is dead. They tell of no home: any may be meant. */
function probesOf(top: string): readonly string[] {
  const isDead = (pid: string | undefined): boolean => pid !== undefined && textOf(`/proc/${pid}/stat`) === '';
  return ['.', ...namesIn(top)].flatMap((controller) =>
    namesIn(join(top, controller))
      .filter((name) => isDead(/^casemate-probe-(\d+)-/.exec(name)?.[1]))
      .map((name) => join(controller, name)),
  );
}

function devicesOf(root: string): readonly string[] {
  return namesIn('/sys/block')
    .filter((name) => name.startsWith('loop'))
    .map((name) => textOf(`/sys/block/${name}/loop/backing_file`).trim())
    .filter((path) => path.includes(root));
}

/**
 * Sockets that a process has open, without those that listen in the networks of the processes `inside`, and those that take
 * connections from the host's network.
 */
export function socketsOf(
  pid: number,
  { inside }: { readonly inside: readonly number[] },
): { readonly open: number; readonly listening: readonly string[] } {
  const inodes = namesIn(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? [];
    } catch {
      return [];
    }
  });
  const there = new Set(inside.flatMap((one) => listenersIn(`/proc/${one}/net`)).map(({ inode }) => inode));
  const listening = listenersIn('/proc/net')
    .filter(({ inode }) => inodes.includes(inode))
    .map(({ address }) => address);
  return { open: inodes.filter((inode) => !there.has(inode)).length, listening };
}

/** Of a network. Column 4 is the state: 0A listens, 07 is an unconnected datagram socket; column 10 the inode. */
function listenersIn(folder: string): readonly { readonly address: string; readonly inode: string }[] {
  return ['tcp', 'tcp6', 'udp', 'udp6']
    .flatMap((kind) => textOf(`${folder}/${kind}`).split('\n').slice(1))
    .map((row) => row.trim().split(/\s+/))
    .filter((row) => ['0A', '07'].includes(row[3] ?? ''))
    .map((row) => ({ address: row[1] ?? '', inode: row[9] ?? '' }));
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
