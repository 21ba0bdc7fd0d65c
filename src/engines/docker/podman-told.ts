import { readFile } from 'node:fs/promises';

import { isErrno } from '../../system/files.ts';
import { run } from '../../system/process.ts';
import { segment } from './docker-client.ts';
import type { DialectParts } from './dialect-parts.ts';
import { fieldsOf, textOf } from './read-json.ts';

/** What Podman says of a container, and what it gave to the container runtime for it. */
export interface PodmanTold {
  /** what `inspect` answers */
  readonly inspected: unknown;
  /** content of the runtime's configuration; `undefined`: a service on another machine has its files there */
  readonly configuration: unknown;
}

export async function podmanTold({ client, env }: Pick<DialectParts, 'client' | 'env'>, id: string): Promise<PodmanTold> {
  const inspected = await client.must('GET', `/libpod/containers/${segment(id)}/json`);
  const text = await readOwned(textOf(fieldsOf(inspected)['OCIConfigPath']), env).catch(() => undefined);
  return { inspected, configuration: text === undefined ? undefined : JSON.parse(text) };
}

/** Files of an ordinary user's Podman can have a subordinate id as their owner. */
async function readOwned(file: string, env: Readonly<Record<string, string>>): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (!isErrno(error, 'EACCES')) {
      throw error;
    }
    const { stdout } = await run('unshare', ['--user', '--map-root-user', '--map-auto', '--', 'cat', '--', file], {
      env,
      timeoutMs: 30_000,
    });
    return stdout.toString('utf8');
  }
}
