import type { SandboxSpec } from '../engine.ts';
import type { HomeDisk } from './home-disk.ts';
import { agentId, mountMap, rangeSize, slotBase } from './ids.ts';
import type { Protection } from './protect.ts';

/** From a spec to the lines that `stage.pl` carries out. Pure. */

export interface StageFacts {
  readonly stage: string;
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
  /** program and arguments that make the container, once the mounts are there */
  readonly runtime: readonly string[];
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

export function stagePlan(spec: SandboxSpec, facts: StageFacts): string {
  const { stage, owners, creators, protections, covers, identity, homeDisk } = facts;
  const owner = identity.kind === 'root' ? [owners.workspace.uid, owners.workspace.gid] : [];
  const coverMaps = agentMaps(identity, owners.cover);
  return [
    enterLine(identity),
    line('stage', stage),
    ...(homeDisk === undefined ? [] : [line('disk', homeDisk.image, homeDisk.mountPoint, homeDisk.isFresh ? 1 : 0)]),
    line('workspace', spec.workspace.path, ...owner),
    ...protections.flatMap(({ path, placeholder }) =>
      placeholder === undefined ? [] : [line('placeholder', path, placeholder)],
    ),
    line('tree', '.', spec.rootfs, 'r', ...rootMaps(identity)),
    line('tree', 'home/agent', homeDisk?.mountPoint ?? spec.home, '-', ...agentMaps(identity, owners.home, creators)),
    line(
      'tree',
      'workspace',
      spec.workspace.path,
      spec.workspace.mode === 'readonly' ? 'r' : '-',
      ...agentMaps(identity, owners.workspace, creators),
    ),
    ...spec.files.map(({ source, target }, index) =>
      line('tree', target.replace(/^\/+/, ''), source, 'rx', ...agentMaps(identity, owners.files[index] ?? owners.cover)),
    ),
    line('source', 'empty', covers.empty, ...coverMaps),
    line('source', 'json', covers.json, ...coverMaps),
    line('build'),
    line('image'),
    ...protections.map(protectionLine),
    line('become', ...facts.runtime),
    '',
  ].join('\n');
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
  return fields.map((field) => escape(String(field))).join('\t');
}

function escape(field: string): string {
  return [...Buffer.from(field, 'utf8')]
    .map((byte) => {
      const character = String.fromCodePoint(byte);
      return /[\w./-]/.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
    })
    .join('');
}
