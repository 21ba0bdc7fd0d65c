import { readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';

import { fieldsOf, rowsOf, textOf, type Fields } from '../../engines/docker/read-json.ts';
import type { Plan } from '../../sandbox/plan/plan.ts';
import { none, same } from '../compare.ts';
import { attack, control, type Row } from '../finding.ts';
import { readProcess } from '../host-view.ts';
import { dockerParts } from '../lab/docker-view.ts';
import type { Lab, LabSandbox } from '../lab/lab.ts';

/**
 * Compares what a Docker Engine says that it made for a sandbox of the lab with invariants that are written down only here,
 * whatever the product requested and read back.
 */
export async function dockerConfigRows(lab: Lab, sandbox: LabSandbox): Promise<readonly Row[]> {
  const { keeper, sandbox: own } = await dockerParts(lab, sandbox);
  const { plan } = sandbox.target;
  if (plan === undefined) {
    throw new Error('a sandbox of the lab has a plan');
  }
  const first = (await sandbox.target.processes())[0] ?? 0;
  const network = textOf(fieldsOf(own['HostConfig'])['NetworkMode']);
  const limits = limitsOf(own);
  return [
    none('what is against the invariants of a container, in that of the sandbox', containerFaults(own)),
    none('what is against the invariants of a container, in the keeper', containerFaults(keeper)),
    same('network of the keeper', 'none', textOf(fieldsOf(keeper['HostConfig'])['NetworkMode'])),
    same('network of the sandbox', `container:${textOf(keeper['Id'])}`, network),
    none('networks that either is in', [...networksOf(keeper), ...networksOf(own)]),
    none('folders of the host beside those of the plan', mountFaults(mountsOf(own), { lab, sandbox, plan })),
    keeperFoldersRow(mountsOf(keeper)),
    same('memory', plan.limits.memoryBytes, limits.memory),
    same('processes', plan.limits.pids, limits.pids),
    firstProcessRow(first, fieldsOf(own['State'])['Pid']),
  ];
}

export function keeperFoldersRow(folders: readonly ShownFolder[]): Row {
  const writable = folders.filter((folder) => folder.writable).map(({ target }) => target);
  return none('folders of the host that the keeper can write', writable);
}

export function firstProcessRow(first: number, told: unknown): Row {
  return control('the container that was asked about', {
    expected: `is process ${first}`,
    seen: `is process ${String(told)}`,
    ok: first > 1 && told === first,
    from: 'outside',
  });
}

function limitsOf(told: Fields): { readonly memory: unknown; readonly pids: unknown } {
  const host = fieldsOf(told['HostConfig']);
  return { memory: host['Memory'], pids: host['PidsLimit'] };
}

function networksOf(told: Fields): readonly string[] {
  const networks = Object.keys(fieldsOf(fieldsOf(told['NetworkSettings'])['Networks']));
  return networks.filter((name) => name !== 'none');
}

export interface ShownFolder {
  readonly source: string;
  readonly target: string;
  readonly writable: boolean;
}

function mountsOf(told: Fields): readonly ShownFolder[] {
  return rowsOf(told['Mounts']).map((row) => {
    const { Source, Destination, RW } = fieldsOf(row);
    return { source: textOf(Source), target: textOf(Destination), writable: RW === true };
  });
}

interface Shown {
  readonly lab: Lab;
  readonly sandbox: LabSandbox;
  readonly plan: Plan;
}

/** The workspace, the home, and what the daemon made for this sandbox in its own folders. */
export function mountFaults(folders: readonly ShownFolder[], { lab, sandbox, plan }: Shown): readonly string[] {
  const { state, runtime } = lab.places;
  const own = [
    join(state, 'sandboxes', sandbox.id),
    join(runtime, plan.engine, sandbox.id),
    join(state, plan.engine, 'shown', sandbox.id),
    join(state, plan.engine, 'covers'),
  ];
  const isBelow = (path: string, folder: string): boolean => path === folder || path.startsWith(`${folder}/`);
  return folders.flatMap(({ source, target, writable }) => {
    const isWork = isBelow(source, sandbox.workspace) && isBelow(target, '/workspace');
    const isHome = source === join(state, 'sandboxes', sandbox.id, 'home') && target === '/home/agent';
    const mayWrite = (isWork && plan.workspace.mode !== 'readonly') || isHome;
    const isKnown = isWork || own.some((folder) => isBelow(source, folder));
    return isKnown && (mayWrite || !writable) ? [] : [`${source} at ${target}${writable ? ', writable' : ''}`];
  });
}

/** Of any container of ours: each a word of the engine's API. */
export function containerFaults(told: Fields): readonly string[] {
  const host = fieldsOf(told['HostConfig']);
  const config = fieldsOf(told['Config']);
  const options = rowsOf(host['SecurityOpt']).map(textOf);
  const filter = options.find((option) => option.startsWith('seccomp='))?.slice('seccomp='.length) ?? '{}';
  const empty = (name: string): boolean => {
    const value = host[name];
    return value === null || value === undefined || value === '' || value === false || Object.keys(Object(value)).length === 0;
  };
  const rules: Readonly<Record<string, boolean>> = {
    'it is privileged': host['Privileged'] !== false,
    'rights that are added': !empty('CapAdd'),
    'rights that are left': rowsOf(host['CapDrop']).map(textOf).join() !== 'ALL',
    'a way to new rights': !options.some((option) => /^no-new-privileges(?:[:=]true)?$/.test(option)),
    'no filter of system calls that refuses by default': !filter.includes('"defaultAction":"SCMP_ACT_ERRNO"'),
    'other options of security': options.some((option) => !/^(?:no-new-privileges|seccomp=)/.test(option)),
    'a root that can be written': host['ReadonlyRootfs'] !== true,
    'processes of others': !empty('PidMode'),
    'memory shared with others': textOf(host['IpcMode']) !== 'private',
    'names of the host': !empty('UTSMode'),
    'devices of the host': !empty('Devices') || !empty('DeviceRequests') || !empty('DeviceCgroupRules'),
    'ports of the host': !empty('PortBindings') || host['PublishAllPorts'] === true,
    'volumes of others': !empty('VolumesFrom') || !empty('Binds'),
    'names of other hosts': !empty('ExtraHosts') || !empty('Links'),
    'more groups': !empty('GroupAdd'),
    'it is started again': !['', 'no'].includes(textOf(fieldsOf(host['RestartPolicy'])['Name'])),
    'fewer than 20 covered paths': rowsOf(host['MaskedPaths']).length < 20,
    'fewer than 5 read-only paths': rowsOf(host['ReadonlyPaths']).length < 5,
    'a first process of root': !/^[1-9]\d*:[1-9]\d*$/.test(textOf(config['User'])),
    'variables of the first process': rowsOf(config['Env'])
      .map(textOf)
      .some((entry) => !entry.startsWith('PATH=')),
    'the socket of the engine': mountsOf(told).some(({ source }) => /(?:docker|podman|containerd)\.sock$/.test(source)),
  };
  return Object.entries(rules).flatMap(([name, broken]) => (broken ? [name] : []));
}

/** By the parent of the first process as this host sees it: the engine's shim, which was told whose container it holds. */
export async function dockerRuntimeRows(lab: Lab, sandbox: LabSandbox): Promise<readonly Row[]> {
  const { sandbox: own } = await dockerParts(lab, sandbox);
  const { runtime } = sandbox.target.plan ?? { runtime: 'runc' };
  const { pid, words } = await parentOf(sandbox);
  // A program that may not be looked at is known by its first word.
  const program = await readlink(`/proc/${pid}/exe`).catch(() => words[0] ?? '');
  const holds = words.includes(textOf(own['Id']));
  return [
    same('runtime that the engine says it used', runtime, textOf(fieldsOf(own['HostConfig'])['Runtime'])),
    attack('program that holds the first process', {
      expected: 'a shim for runc',
      seen: program,
      ok: program.endsWith('/containerd-shim-runc-v2'),
      from: 'outside',
    }),
    await hostKernelRow(sandbox),
    toldRow('that program was told of this container', holds),
  ];
}

export function toldRow(what: string, holds: boolean): Row {
  return control(what, { expected: 'its id', seen: holds ? 'its id' : 'another', ok: holds, from: 'outside' });
}

/** Of its first process, as this host sees it. */
export async function parentOf({ target }: LabSandbox): Promise<{ readonly pid: number; readonly words: readonly string[] }> {
  const [first = 0] = await target.processes();
  const pid = Number(/^PPid:\s*(\d+)$/m.exec(await readProcess(first, 'status'))?.[1] ?? 0);
  return { pid, words: (await readProcess(pid, 'cmdline')).split('\0') };
}

export async function hostKernelRow({ target }: LabSandbox): Promise<Row> {
  const [{ out }, host] = await Promise.all([target.inside(['cat', '/proc/version']), readFile('/proc/version', 'utf8')]);
  const isHosts = out.toString('utf8') === host;
  const expected = 'the one of this host';
  return attack('kernel', { expected, seen: isHosts ? expected : 'another', ok: isHosts });
}
