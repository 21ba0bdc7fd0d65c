import { readFile, writeFile } from 'node:fs/promises';

import { CasemateError } from '../../base/errors.ts';
import type { BindMount, ContainerBody } from './container-bodies.ts';

/** What a container was asked to be, kept until its start, which may come from another process than its creation. */

export interface AskedFor {
  readonly version: 1;
  readonly body: ContainerBody;
  readonly mounts: readonly BindMount[];
}

export async function keepAskedFor(file: string, asked: Omit<AskedFor, 'version'>): Promise<void> {
  await writeFile(file, JSON.stringify({ version: 1, ...asked }), { mode: 0o600 });
}

/** Throws `ENGINE_FAILED` where nothing says it: then nothing could be compared. */
export async function askedFor(file: string): Promise<AskedFor> {
  const value: unknown = JSON.parse(await readFile(file, 'utf8').catch(() => 'null'));
  if (isAskedFor(value)) {
    return value;
  }
  throw new CasemateError('ENGINE_FAILED', 'it is not known any more what the container was asked to be', {
    hint: 'Stop and start the sandbox: that makes its containers anew.',
  });
}

/** The folder is private and the file ours: its version says its form. */
function isAskedFor(value: unknown): value is AskedFor {
  return typeof value === 'object' && value !== null && 'version' in value && value.version === 1 && 'body' in value;
}
