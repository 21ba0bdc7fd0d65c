import { readFile, writeFile } from 'node:fs/promises';

import { isJsonObject } from '../../base/json.ts';
import { ownText } from '../../system/own-files.ts';
import { identifyProcess, isSameProcess, type ProcessIdentity } from '../../system/process-identity.ts';
import type { EngineLayout } from './folders.ts';

/**
 * Which process is the first of a sandbox: its process id as the runtime wrote it, and its start time, so that no other process
 * is taken for it.
 */

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
  const text = ownText(layout.sandbox(id).init);
  const identity = text === undefined || text === '' ? undefined : identityIn(JSON.parse(text));
  return identity !== undefined && (await isSameProcess(identity)) ? identity : undefined;
}

/** The folder that this lies in need not be gone after a reboot: an ordinary user's may be on the disk. */
function identityIn(value: unknown): ProcessIdentity | undefined {
  const { pid, startTicks, boot } = isJsonObject(value) ? value : {};
  return typeof pid === 'number' && typeof startTicks === 'string'
    ? { pid, startTicks, ...(typeof boot === 'string' ? { boot } : {}) }
    : undefined;
}
