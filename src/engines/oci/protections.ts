import { readFile } from 'node:fs/promises';

import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import type { SandboxSpec } from '../engine.ts';
import { nestedPaths } from './nested-paths.ts';
import { lookBelow, planProtection, type Protection } from './protect.ts';
import type { EngineRecord } from './records.ts';

/** The protections of a spec's workspace as it is now. A read-only workspace needs none. */
export async function protectionsOf({ workspace }: SandboxSpec): Promise<readonly Protection[]> {
  if (workspace.mode === 'readonly' || workspace.protect.length === 0) {
    return [];
  }
  const nested = await nestedPaths(workspace.path, workspace.protect);
  return planProtection([...workspace.protect, ...nested], lookBelow(workspace.path));
}

/**
 * Whether every protection still holds in the sandbox with this first process. A program of the host that replaces a
 * protected file (git writes its settings that way) makes the kernel drop the mount on it. Throws `ENGINE_FAILED` then.
 */
export async function requireProtections({ protections }: EngineRecord, pid: number): Promise<void> {
  if (protections.length === 0) {
    return;
  }
  const lost = lostProtections(await readFile(`/proc/${pid}/mountinfo`, 'utf8'), protections);
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

/** Field 5 of each line is where the mount is, with blanks and backslashes in octal (proc(5)). */
export function lostProtections(mountinfo: string, protections: readonly string[]): readonly string[] {
  const mounted = new Set(mountinfo.split('\n').map((line) => unescape(line.split(' ')[4] ?? '')));
  return protections.filter((path) => !mounted.has(`/workspace/${path}`));
}

function unescape(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCodePoint(Number.parseInt(digits, 8)));
}
