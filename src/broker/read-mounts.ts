import { posix } from 'node:path';

import { visible } from '../base/text.ts';
import type { NestedMount } from '../engines/containers.ts';
import { parseBytes } from '../base/units.ts';
import type { CreateBody } from './read-create.ts';
import { malformed, notOffered } from './refusal.ts';

/**
 * Which places of the sandbox, and which of its volumes, a container asks to see. Whether they exist is found out by the code
 * that opens them.
 */

export interface AskedMounts {
  readonly mounts: readonly NestedMount[];
  readonly memoryFolders: readonly MemoryFolder[];
}

interface MemoryFolder {
  readonly target: string;
  readonly bytes: number;
  readonly isExecutable: boolean;
}

/** Roots of what the sandbox itself sees of the host. */
const roots = ['/workspace', '/home/agent'];
const volumeName = /^[a-zA-Z0-9][\w.-]{0,127}$/;

export function readMounts({ HostConfig, Volumes }: CreateBody, defaultBytes: number): AskedMounts {
  const rows = [...(HostConfig?.Binds ?? []).map(readBind), ...(HostConfig?.Mounts ?? []).flatMap(readMount)];
  const memory = [
    ...Object.entries(HostConfig?.Tmpfs ?? {}).map(([target, options]) => memoryFolder(target, options, defaultBytes)),
    ...(HostConfig?.Mounts ?? [])
      .filter(({ Type }) => Type === 'tmpfs')
      .map(({ Target, TmpfsOptions }) => ({
        target: placeInside(Target),
        bytes: TmpfsOptions?.SizeBytes ?? defaultBytes,
        isExecutable: false,
      })),
  ];
  const targets = [...rows, ...memory].map(({ target }) => target);
  const twice = targets.find((target, index) => targets.indexOf(target) !== index);
  if (twice !== undefined) {
    throw malformed(`${visible(twice)} is asked for twice`);
  }
  // A volume without a name is one that nobody will find again.
  const unnamed = Object.keys(Volumes ?? {})
    .map(placeInside)
    .filter((target) => !targets.includes(target));
  return {
    mounts: [...rows, ...unnamed.map((target): NestedMount => ({ kind: 'volume', source: '', target, isReadonly: false }))],
    memoryFolders: memory,
  };
}

function readBind(text: string): NestedMount {
  const parts = text.split(':');
  const [source = '', target = '', options = ''] = parts;
  if (parts.length < 2 || parts.length > 3) {
    throw malformed(`${visible(text).slice(0, 200)} is not a bind: source, target, and options if there are any`);
  }
  const words = options.split(',').filter((word) => word !== '');
  const unknown = words.find((word) => !known.has(word));
  if (unknown !== undefined) {
    throw notOffered('confinement', `the option ${visible(unknown).slice(0, 40)} of a bind is not offered`);
  }
  return { ...sourceOf(source), target: placeInside(target), isReadonly: words.includes('ro') };
}

const known = new Set(['ro', 'rw', 'z', 'Z', 'nocopy', 'cached', 'delegated', 'consistent', 'private', 'rprivate']);

function readMount(row: NonNullable<NonNullable<CreateBody['HostConfig']>['Mounts']>[number]): readonly NestedMount[] {
  const target = placeInside(row.Target);
  const isReadonly = row.ReadOnly === true;
  if (row.Type === 'tmpfs') {
    return [];
  }
  const source = row.Source ?? '';
  if (row.Type === 'bind' && !source.startsWith('/')) {
    throw malformed(`${visible(source).slice(0, 200)} is not an absolute path`);
  }
  if (row.Type === 'volume' && source === '') {
    return [{ kind: 'volume', source, target, isReadonly }];
  }
  if (row.Type === 'volume' && !volumeName.test(source)) {
    throw malformed(`${visible(source).slice(0, 200)} is not the name of a volume`);
  }
  return [{ ...sourceOf(source), target, isReadonly }];
}

function sourceOf(source: string): Pick<NestedMount, 'kind' | 'source'> {
  if (!source.startsWith('/')) {
    if (!volumeName.test(source)) {
      throw malformed(`${visible(source).slice(0, 200)} is neither an absolute path nor the name of a volume`);
    }
    return { kind: 'volume', source };
  }
  const path = cleanPath(source);
  if (!roots.some((root) => path === root || path.startsWith(`${root}/`))) {
    throw notOffered(
      'confinement',
      `${visible(path).slice(0, 200)} cannot be shown to a container: only what lies below ${roots.join(' and ')} can`,
    );
  }
  return { kind: 'path', source: path };
}

/** Parts of the kernel's and the engine's own places: what stands there is not the container's to say. */
const taken = /^\/(?:$|proc(?:\/|$)|sys(?:\/|$)|dev(?:\/|$)|etc\/(?:resolv\.conf|hosts|hostname)$|\.dockerenv$)/;

function placeInside(target: string): string {
  const path = target.startsWith('/') ? cleanPath(target) : '';
  if (path === '') {
    throw malformed(`${visible(target).slice(0, 200)} is not an absolute path`);
  }
  if (taken.test(path)) {
    throw notOffered('confinement', `nothing can be mounted at ${visible(path).slice(0, 200)}`);
  }
  return path;
}

function cleanPath(path: string): string {
  if (path.length > 4096 || path.includes('\0')) {
    throw malformed('a path is too long');
  }
  const clean = posix.normalize(path);
  return clean.length > 1 && clean.endsWith('/') ? clean.slice(0, -1) : clean;
}

function memoryFolder(target: string, options: string, defaultBytes: number): MemoryFolder {
  const words = options.split(',').filter((word) => word !== '');
  const size = words.find((word) => word.startsWith('size='))?.slice('size='.length);
  const bytes = size === undefined ? defaultBytes : /^\d+$/.test(size) ? Number(size) : parseBytes(size);
  if (bytes === undefined) {
    throw malformed(`${visible(options).slice(0, 100)} has no size that can be read`);
  }
  // Of the other options none gives more than a folder in memory has anyway, and what they say is not passed on.
  return { target: placeInside(target), bytes, isExecutable: words.includes('exec') };
}
