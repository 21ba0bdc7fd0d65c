import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import { isErrno } from '../../system/files.ts';
import type { SandboxSpec } from '../engine.ts';
import { nestedPaths } from './nested-paths.ts';
import { lookBelow, planProtection, type Protection } from './protect.ts';
import type { EngineRecord } from '../records.ts';

/** The protections that a spec's workspace needs now. A read-only workspace needs none. */
export async function protectionsOf({ workspace }: SandboxSpec): Promise<readonly Protection[]> {
  const { protect, fixed = [] } = workspace;
  if (workspace.mode === 'readonly' || protect.length + fixed.length === 0) {
    return [];
  }
  const nested = await nestedPaths(workspace.path, protect);
  return planProtection([...protect, ...fixed, ...nested], lookBelow(workspace.path));
}

/**
 * Whether every protection still holds in the sandbox with these mounts, which are read where there are any. A program of the host that replaces a
 * protected file (git writes its settings that way) makes the kernel drop the mount on it. Throws `ENGINE_FAILED` then.
 */
export async function requireProtections({ protections }: EngineRecord, read: () => Promise<readonly Mounted[]>): Promise<void> {
  if (protections.length === 0) {
    return;
  }
  const lost = lostProtections(await read(), protections);
  if (lost.length > 0) {
    throw new CasemateError(
      'ENGINE_FAILED',
      `${lost.map(visible).join(', ')} was replaced on the host, so the sandbox could now write to it`,
      {
        hint: 'Stop and start the sandbox: that protects it again.',
      },
    );
  }
}

/** Throws `ENGINE_FAILED` where a place of the sandbox's own shows what the image has there, or a protection is missing. */
export function requireMounts({ spec, protections }: EngineRecord, mounts: readonly Mounted[]): void {
  const targets = ['/workspace', '/home/agent', ...spec.files.map(({ target }) => target)];
  const lost = lostProtections(mounts, protections).map((path) => `/workspace/${path}`);
  const absent = [...targets.filter((target) => showsImage(mounts, target)), ...lost];
  if (absent.length > 0) {
    throw new CasemateError('ENGINE_FAILED', `the container does not show ${absent.slice(0, 5).map(visible).join(', ')}`);
  }
}

/** A line of `mountinfo` (proc(5)): device, path within its file system, place in the namespace. */
export interface Mounted {
  readonly device: string;
  readonly root: string;
  readonly place: string;
  /** `ro`, `nosuid`, ... */
  readonly options: readonly string[];
}

/** Throws `SANDBOX_WRONG_STATE` when the process is gone: one that ends has no mounts for a moment (`EINVAL`), then no files. */
export async function mountsOf(pid: number): Promise<readonly Mounted[]> {
  try {
    return parseMounts(await readFile(`/proc/${pid}/mountinfo`, 'utf8'));
  } catch (error) {
    if (ofEnded.some((code) => isErrno(error, code))) {
      throw new CasemateError('SANDBOX_WRONG_STATE', 'the sandbox has ended', { cause: error });
    }
    throw error;
  }
}

/** The same by the text of `mountinfo`, which a process that ends has no more. */
export function mountsIn(mountinfo: string): readonly Mounted[] {
  if (mountinfo === '') {
    throw new CasemateError('SANDBOX_WRONG_STATE', 'the sandbox has ended');
  }
  return parseMounts(mountinfo);
}

const ofEnded = ['EINVAL', 'ENOENT', 'ESRCH'];

export function parseMounts(mountinfo: string): readonly Mounted[] {
  return mountinfo.split('\n').flatMap((line) => {
    const [, , device, root, place, options = ''] = line.split(' ');
    return device === undefined || root === undefined || place === undefined
      ? []
      : [{ device, root: unescape(root), place: unescape(place), options: options.split(',') }];
  });
}

export function lostProtections(mounts: readonly Mounted[], protections: readonly string[]): readonly string[] {
  const mounted = new Set(mounts.map(({ place }) => place));
  return protections.filter((path) => !mounted.has(`/workspace/${path}`));
}

/** Whether all that is mounted there is the image's own place. One that the image leads elsewhere cannot be told. */
export function showsImage(mounts: readonly Mounted[], place: string): boolean {
  const image = mounts.findLast((mount) => mount.place === '/');
  const there = mounts.filter((mount) => mount.place === place);
  return there.length > 0 && there.every(({ device, root }) => device === image?.device && root === join(image.root, place));
}

/** Blanks and backslashes are in octal. */
function unescape(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCodePoint(Number.parseInt(digits, 8)));
}
