import type { SandboxSpec } from '../engine.ts';
import { orderWord } from '../order-word.ts';
import type { HomeDisk } from './home-disk.ts';
import { agentId, mountMap, rangeSize, slotBase } from './ids.ts';
import type { Protection } from '../workspace/protect.ts';

/**
 * Turns a spec into the lines that `stage.pl` carries out. Pure. Two ways lead to the same mounts: either all of them exist
 * before the runtime begins (`wholePlan`), or the container is made of the image alone and the rest is handed in
 * (`containerPlan`, `sandboxPlan`). The second is faster and can begin before anyone asks for a sandbox.
 */

export interface ContainerFacts {
  readonly stage: string;
  readonly identity: Identity;
  /** program and arguments that make the container */
  readonly runtime: readonly string[];
}

export interface SandboxFacts {
  readonly identity: Identity;
  /** owners on disk, which mapped mounts turn into the agent; unused where the caller is an ordinary user */
  readonly owners: { readonly workspace: Owner; readonly home: Owner; readonly files: readonly Owner[]; readonly cover: Owner };
  /** Ids inside by which files are made: the agent's, and that of a file server that gives them to the agent. */
  readonly creators: readonly number[];
  /** the home's own file system; `undefined`: the folder itself */
  readonly homeDisk: HomeDisk | undefined;
  readonly protections: readonly Protection[];
  /** an empty file of ours, and one that holds `{}` */
  readonly covers: { readonly empty: string; readonly json: string };
  /** empty folder of ours where the workspace is put together */
  readonly workshop: string;
}

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** Who starts the runtime: root with a range of ids for this sandbox, or a user with subordinate ids. */
export type Identity =
  | { readonly kind: 'root'; readonly slot: number }
  | { readonly kind: 'user'; readonly uid: number; readonly gid: number; readonly subuid: Range; readonly subgid: Range };

export interface Range {
  readonly first: number;
  readonly count: number;
}

/** Everything is mounted, then the program becomes the runtime. */
export function wholePlan(spec: SandboxSpec, facts: ContainerFacts & SandboxFacts): string {
  const { protections, runtime } = facts;
  return textOf([
    ...beginning(facts),
    ...onDisk(spec, facts),
    rootTree(spec, facts),
    ...trees(spec, facts),
    line('build'),
    line('image'),
    ...protections.map(protectionLine),
    line('become', ...runtime),
  ]);
}

/** The runtime is started on the image, with anchors where mounts of a sandbox will be. */
export function containerPlan(spec: SandboxSpec, facts: ContainerFacts): string {
  return textOf([
    ...beginning(facts),
    rootTree(spec, facts),
    line('build'),
    line('image'),
    ...targets(spec).map((target) => line('anchor', target)),
    line('run', ...facts.runtime),
  ]);
}

export interface HeldFacts extends ContainerFacts {
  readonly pidFile: string;
  /** the installation's own, which homes belong to, and mostly workspaces, too */
  readonly owner: Owner;
  readonly creators: readonly number[];
  /** blank: for the home of whoever takes it */
  readonly homeDisk: HomeDisk | undefined;
}

/** For `containerPlan` where no sandbox has asked yet: the container waits for it, and ends with us. */
export function heldPlan(spec: SandboxSpec, facts: HeldFacts): string {
  const { identity, owner, creators, pidFile, homeDisk } = facts;
  const likely = [agentMaps(identity, owner), agentMaps(identity, owner, creators)].filter((maps) => maps.length > 0);
  const ahead = [...likely.map((maps) => line('mapping', ...maps)), ...(homeDisk === undefined ? [] : [diskLine(homeDisk)])];
  return `${containerPlan(spec, facts)}${textOf([...ahead, line('made'), line('hold', pidFile)])}`;
}

/** Whether the container was there before its sandbox, and has its name already. */
export type Held = 'none' | 'unnamed' | 'named';

/** After `containerPlan`, or, held, after `heldPlan`: what belongs to this sandbox alone. */
export function sandboxPlan(spec: SandboxSpec, facts: SandboxFacts, held: Held): string {
  return textOf([
    ...onDisk(spec, facts),
    ...trees(spec, facts),
    line('workshop', facts.workshop),
    ...facts.protections.map(protectionLine),
    ...(held === 'none' ? [line('made')] : held === 'named' ? [] : [line('hostname', spec.hostname)]),
    line('build'),
    line('keep'),
  ]);
}

function textOf(lines: readonly string[]): string {
  return `${lines.join('\n')}\n`;
}

function beginning({ identity, stage }: ContainerFacts): readonly string[] {
  return [enterLine(identity), line('stage', stage)];
}

/** What is made on the host's disks: the home's file system, names in the workspace. */
function onDisk(spec: SandboxSpec, { owners, identity, homeDisk, protections }: SandboxFacts): readonly string[] {
  const owner = identity.kind === 'root' ? [owners.workspace.uid, owners.workspace.gid] : [];
  return [
    ...(homeDisk === undefined || homeDisk.isMounted === true ? [] : [diskLine(homeDisk)]),
    ...(homeDisk?.isToFill === true ? [line('fill', homeDisk.mountPoint, spec.home)] : []),
    line('workspace', spec.workspace.path, ...owner),
    ...protections.flatMap(({ path, placeholder }) =>
      placeholder === undefined ? [] : [line('placeholder', path, placeholder)],
    ),
  ];
}

function diskLine({ image, mountPoint, isFresh }: HomeDisk): string {
  return line('disk', image, mountPoint, isFresh ? 1 : 0);
}

function rootTree({ rootfs }: SandboxSpec, { identity }: ContainerFacts): string {
  return line('tree', '.', rootfs, 'r', ...rootMaps(identity));
}

const homeTarget = 'home/agent';
const workspaceTarget = 'workspace';

/** Where a sandbox has mounts of its own. */
function targets({ files }: SandboxSpec): readonly string[] {
  return [homeTarget, workspaceTarget, ...files.map(fileTarget)];
}

function fileTarget({ target }: SandboxSpec['files'][number]): string {
  return target.replace(/^\/+/, '');
}

function trees(spec: SandboxSpec, { identity, owners, creators, covers, homeDisk }: SandboxFacts): readonly string[] {
  const { workspace, home, files } = spec;
  const flags = workspace.mode === 'readonly' ? 'r' : '-';
  const coverMaps = agentMaps(identity, owners.cover);
  return [
    line('tree', homeTarget, homeDisk?.mountPoint ?? home, '-', ...agentMaps(identity, owners.home, creators)),
    line('tree', workspaceTarget, workspace.path, flags, ...agentMaps(identity, owners.workspace, creators)),
    ...files.map((file, index) =>
      line('tree', fileTarget(file), file.source, 'rx', ...agentMaps(identity, owners.files[index] ?? owners.cover)),
    ),
    line('source', 'empty', covers.empty, ...coverMaps),
    line('source', 'json', covers.json, ...coverMaps),
  ];
}

export function enterLine(identity: Identity): string {
  if (identity.kind === 'root') {
    return line('root');
  }
  const { uid, gid, subuid, subgid } = identity;
  return line('user', uid, gid, subuid.first, subuid.count, subgid.first, subgid.count);
}

function rootMaps(identity: Identity): readonly string[] {
  const map = identity.kind === 'root' ? mountMap(0, slotBase(identity.slot), rangeSize) : undefined;
  return map === undefined ? [] : [map, map];
}

/**
 * Shows the owner's files as the agent's; what others own is nobody's inside, and no other id can be written. Another
 * creator's files are, until it gives them away, those of its own id on the host, which is nobody.
 */
function agentMaps(identity: Identity, owner: Owner, creators: readonly number[] = [agentId]): readonly string[] {
  if (identity.kind === 'user') {
    return [];
  }
  const base = slotBase(identity.slot);
  const own = creators.filter((id) => id !== agentId).map((id) => mountMap(base + id, base + id));
  return [owner.uid, owner.gid].map((id) => [mountMap(id, base + agentId), ...own].join(''));
}

function protectionLine({ path, kind, writable, placeholder }: Protection): string {
  if (placeholder === 'socket') {
    return line('cover', path, path.endsWith('.json') ? 'json' : 'empty');
  }
  return line('pin', path, writable ? '-' : 'r', kind);
}

export function line(...fields: readonly (string | number)[]): string {
  return fields.map((field) => orderWord(String(field))).join('\t');
}
