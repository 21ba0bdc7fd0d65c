import { mkdir, rm, rmdir } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';

import { isCasemateError } from '../../base/errors.ts';
import { layers, type LayerName } from '../../base/layers.ts';
import { visible } from '../../base/text.ts';
import { dataFile } from '../../system/data-file.ts';
import { leftBehind, ownMark } from '../../system/owner-mark.ts';
import { run } from '../../system/process.ts';
import type { LayerReport, SandboxSpec } from '../engine.ts';
import type { CgroupHost } from './host.ts';
import type { GvisorFindings } from './gvisor/probe.ts';
import { makeImage } from './home-disk.ts';
import { mountMap, slotBase } from './ids.ts';
import { examineRuntime } from './runtimes.ts';
import type { Identity, Range } from './stage-plan.ts';

/** What this host supports, layer by layer. Every answer comes from doing the thing, in a process that ends at once. */

export interface ExamineHost {
  readonly runtime: SandboxSpec['runtime'];
  readonly uid: number;
  readonly gid: number;
  readonly subordinates: { readonly subuid: Range; readonly subgid: Range } | undefined;
  readonly stage: string | undefined;
  readonly cgroup: CgroupHost;
  /** starts the installed gVisor once */
  readonly gvisor: () => Promise<GvisorFindings>;
  /** a folder of ours on the file system that holds workspaces' state */
  readonly folder: string;
  readonly env: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
}

type Answer = Omit<LayerReport, 'layer'>;

export async function examineHost(host: ExamineHost): Promise<readonly LayerReport[]> {
  const probes: Record<LayerName, () => Promise<Answer>> = {
    'user-namespace': () => userNamespace(host),
    'idmapped-mounts': () => mappedMounts(host),
    seccomp: () => (host.runtime === 'runsc' ? gvisorSeccomp(host) : seccomp(host)),
    'memory-limit': () => controller(host, 'memory'),
    'cpu-limit': () => controller(host, 'cpu'),
    'pids-limit': () => processLimit(host),
    'disk-limit': () => diskLimit(host),
    'runtime-floor': () => (host.runtime === 'runsc' ? gvisorStarts(host) : versionOf(host)),
  };
  const names = Object.keys(layers).filter((name): name is LayerName => name in probes);
  return Promise.all(names.map(async (layer) => ({ layer, ...(await answered(probes[layer])) })));
}

async function answered(probe: () => Promise<Answer>): Promise<Answer> {
  try {
    return await probe();
  } catch (error) {
    if (isCasemateError(error) || error instanceof Error) {
      return missing(error.message);
    }
    throw error;
  }
}

const present = (detail: string): Answer => ({ available: true, detail });
const missing = (detail: string): Answer => ({ available: false, detail });

/** `undefined`: done; else what `stage.pl` said. */
async function tried(host: ExamineHost, lines: readonly string[]): Promise<string | undefined> {
  const { env, signal } = host;
  const result = await run('perl', [dataFile('engines/oci/stage.pl'), process.arch, String(process.pid)], {
    env,
    input: `${lines.join('\n')}\n`,
    timeoutMs: 10_000,
    signal,
  });
  return result.exitCode === 0 ? undefined : visible(result.stderr.toString('utf8').trim()).slice(0, 300);
}

function enterFields(identity: Identity): readonly (string | number)[] {
  if (identity.kind === 'root') {
    return ['root'];
  }
  const { uid, gid, subuid, subgid } = identity;
  return ['user', uid, gid, subuid.first, subuid.count, subgid.first, subgid.count];
}

function enter({ uid, gid, subordinates }: ExamineHost): string {
  const identity: Identity =
    uid === 0 || subordinates === undefined ? { kind: 'root', slot: 0 } : { kind: 'user', uid, gid, ...subordinates };
  return enterFields(identity).join('\t');
}

async function userNamespace(host: ExamineHost): Promise<Answer> {
  if (host.uid !== 0 && host.subordinates === undefined) {
    return missing(
      'no 65536 subordinate ids in /etc/subuid and /etc/subgid: an administrator adds them with usermod --add-subuids',
    );
  }
  if (host.stage === undefined) {
    return missing('none of /mnt, /srv, /media, /home is a folder: make one of them');
  }
  const lines = host.uid === 0 ? [enter(host), 'map'] : [enter(host), `stage\t${host.stage}`, 'build'];
  const said = await tried(host, lines);
  return said === undefined ? present(host.uid === 0 ? 'made and mapped' : 'made and mapped with newuidmap') : missing(said);
}

async function mappedMounts(host: ExamineHost): Promise<Answer> {
  if (host.uid !== 0) {
    return present('not needed: the caller is the agent');
  }
  const map = mountMap(host.uid, slotBase(0)).replaceAll(' ', '%20').replaceAll('\n', '%0A');
  const lines = [
    enter(host),
    `stage\t${host.stage ?? '/mnt'}`,
    `tree\t.\t${encodePath(host.folder)}\t-\t${map}\t${map}`,
    'build',
  ];
  const said = await tried(host, lines);
  return said === undefined
    ? present('a folder was mounted with mapped ids')
    : missing(`${said}; Linux 5.12 and a file system that supports it are needed`);
}

function encodePath(path: string): string {
  return encodeURIComponent(path).replaceAll('%2F', '/');
}

async function seccomp(host: ExamineHost): Promise<Answer> {
  const said = await tried(host, ['filter']);
  return said === undefined ? present('a filter was loaded') : missing(`${said}; the kernel needs CONFIG_SECCOMP_FILTER`);
}

async function versionOf(host: ExamineHost): Promise<Answer> {
  return examineRuntime(host.runtime, { ...host, isHybrid: host.cgroup.layout === 'separate' });
}

/** Asked twice by the probes below and answered once. */
async function gvisorOf(host: ExamineHost): Promise<{ readonly version: Answer; readonly found: GvisorFindings | undefined }> {
  const version = await versionOf(host);
  return { version, found: version.available ? await host.gvisor() : undefined };
}

async function gvisorStarts(host: ExamineHost): Promise<Answer> {
  const { version, found } = await gvisorOf(host);
  return found === undefined
    ? version
    : { ...version, detail: `${version.detail}; a program ran in it (${found.choice.platform})` };
}

/** With gVisor the list is not all that keeps programs from this host's kernel, and in old versions no part of it. */
async function gvisorSeccomp(host: ExamineHost): Promise<Answer> {
  const { version, found } = await gvisorOf(host);
  if (found === undefined) {
    return missing(`not tried: ${version.detail}`);
  }
  if (!found.isFiltered) {
    return missing("a process of gVisor's runs without a filter on this host");
  }
  const by = found.choice.filtersCommands ? 'gVisor' : 'each command itself, because this version does not';
  return present(
    `gVisor's kernel answers the calls, and its own processes are filtered on this host; inside the list is loaded by ${by}`,
  );
}

async function controller({ cgroup, uid }: ExamineHost, name: 'memory' | 'cpu' | 'pids'): Promise<Answer> {
  if (!cgroup.controllers.includes(name)) {
    return missing(
      uid === 0 ? `no ${name} controller under /sys/fs/cgroup (layout: ${cgroup.layout})` : whyNoController(cgroup, name),
    );
  }
  if (cgroup.delegation !== undefined) {
    return present(`a group was made below ${cgroup.delegation.slice}`);
  }
  const root = cgroup.layout === 'unified' ? '/sys/fs/cgroup' : join('/sys/fs/cgroup', name);
  const folder = join(root, `casemate-probe-${await ownMark()}-${randomBytes(4).toString('hex')}`);
  await mkdir(folder);
  await rmdir(folder);
  return present(`a group was made in ${root}`);
}

function whyNoController({ layout, lacks, delegation }: CgroupHost, name: string): string {
  if (layout !== 'unified') {
    return `an ordinary user has no ${name} controller of his own here (layout: ${layout}); run as root for this limit`;
  }
  return delegation === undefined
    ? `systemd makes no scope with a ${name} limit for this user: ${lacks ?? 'no answer'}; log in anew, or run as root`
    : `systemd does not pass the ${name} controller on to users here: an administrator adds Delegate=${name} to user@.service`;
}

async function processLimit(host: ExamineHost): Promise<Answer> {
  if (host.cgroup.controllers.includes('pids')) {
    return controller(host, 'pids');
  }
  if (host.uid === 0 || host.subordinates === undefined || host.stage === undefined) {
    return missing('no pids controller under /sys/fs/cgroup');
  }
  const said = await tried(host, [enter(host), 'processes']);
  return said === undefined ? present('RLIMIT_NPROC counted in the user namespace') : missing(said);
}

/** Of processes that were killed while they asked. Groups are of the whole host, so those of other installations go, too. */
export async function removeProbes(folder: string, groups = '/sys/fs/cgroup'): Promise<void> {
  const files = await leftBehind(folder, /^probe-(\d+-\d+)-[0-9a-f]{8}(?:\.ext4)?$/);
  await Promise.all(files.map((path) => rm(path, { recursive: true, force: true })));
  const roots = [groups, ...['memory', 'cpu', 'pids'].map((name) => join(groups, name))];
  const left = await Promise.all(roots.map((root) => leftBehind(root, /^casemate-probe-(\d+-\d+)-[0-9a-f]{8}$/)));
  await Promise.all(left.flat().map((path) => rmdir(path).catch(() => undefined)));
}

async function diskLimit(host: ExamineHost): Promise<Answer> {
  if (host.uid !== 0) {
    return missing('an ordinary user cannot limit the size of a folder here; single files are limited (RLIMIT_FSIZE)');
  }
  const name = `probe-${await ownMark()}-${randomBytes(4).toString('hex')}`;
  const image = join(host.folder, `${name}.ext4`);
  const folder = join(host.folder, name);
  try {
    await mkdir(folder, { mode: 0o700 });
    await makeImage(image, [], { env: host.env, sizeBytes: 0 });
    const said = await tried(host, [
      enter(host),
      `stage\t${host.stage ?? '/mnt'}`,
      `disk\t${encodePath(image)}\t${encodePath(folder)}\t1`,
    ]);
    return said === undefined ? present('a file system in a file was mounted') : missing(`${said}; loop devices are needed`);
  } finally {
    await rmdir(folder).catch(() => undefined);
    await rm(image, { force: true });
  }
}
