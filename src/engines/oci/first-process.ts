import { readFile, writeFile } from 'node:fs/promises';

import { readTextIfPresent } from '../../system/files.ts';
import { identifyProcess, isSameProcess, type ProcessIdentity } from '../../system/process-identity.ts';
import type { EngineLayout } from './folders.ts';

/** Which process is the first of a sandbox: its number as the runtime wrote it, and its start, so that no other is taken for it. */

export async function rememberInit(layout: EngineLayout, id: string): Promise<ProcessIdentity | undefined> {
  const folder = layout.sandbox(id);
  const identity = await identifyProcess(Number((await readFile(folder.pidFile, 'utf8')).trim()));
  if (identity !== undefined) {
    await writeFile(folder.init, JSON.stringify(identity), { mode: 0o600 });
  }
  return identity;
}

/** The sandbox's first process while it lives. */
export async function liveInit(layout: EngineLayout, id: string): Promise<ProcessIdentity | undefined> {
  const text = await readTextIfPresent(layout.sandbox(id).init);
  if (text === undefined || text === '') {
    return undefined;
  }
  const value: unknown = JSON.parse(text);
  if (typeof value !== 'object' || value === null || !('pid' in value) || !('startTicks' in value)) {
    return undefined;
  }
  const { pid, startTicks } = value;
  const identity = typeof pid === 'number' && typeof startTicks === 'string' ? { pid, startTicks } : undefined;
  return identity !== undefined && (await isSameProcess(identity)) ? identity : undefined;
}
