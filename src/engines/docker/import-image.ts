import { createHash } from 'node:crypto';
import { basename, dirname, join } from 'node:path';

import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import { privateFolder, readTextIfPresent, replaceFile } from '../../system/files.ts';
import { spawnProcess, type Spawn } from '../../system/process.ts';
import { messageOf, segment, type DockerClient } from './docker-client.ts';
import { fieldsOf, textOf } from './read-json.ts';

/**
 * Imports one of our images into the engine, once for each digest. From then on it is known by the id that the engine derived
 * from its content. The id is written down here, because a name or a label in the engine says nothing about what an image holds.
 */

export interface ImportOptions {
  readonly client: DockerClient;
  /** id of the engine: another one has other images */
  readonly engineId: string;
  /** private folder of ours */
  readonly folder: string;
  readonly env: Readonly<Record<string, string>>;
  /** Whether the files of the store have their true owners: those of an ordinary user's have subordinate ids. */
  readonly isOwner?: boolean | undefined;
  readonly spawn?: Spawn | undefined;
  readonly signal?: AbortSignal | undefined;
}

const imageId = /^sha256:[0-9a-f]{64}$/;

/** Name and label of what is imported here; neither says anything of what an image holds. */
export const ownRepository = 'casemate/image';
export const imageLabel = 'casemate.image';

/** Of tar: a file was touched while it was read. Another image that is built on this one, with hard links, does that. */
const touched = 1;
const attempts = 4;

/** Reading and writing a gigabyte or two on a slow disk. */
const importMs = 15 * 60_000;

/** `rootfs`: of an image in the store, whose folder has the digest as its name. Answers the engine's id. */
export async function importedImage(rootfs: string, options: ImportOptions): Promise<string> {
  const { client, engineId, folder } = options;
  const digest = /^sha256-([0-9a-f]{64})$/.exec(basename(dirname(rootfs)))?.[1];
  if (digest === undefined) {
    throw new CasemateError('ENGINE_FAILED', `${visible(rootfs)} is not an image of the store, and this engine takes no other`);
  }
  const engine = createHash('sha256').update(engineId).digest('hex').slice(0, 16);
  const file = join(folder, `${engine}-${digest}`);
  const known = (await readTextIfPresent(file))?.trim();
  if (known !== undefined && imageId.test(known) && (await client.call('GET', `/images/${segment(known)}/json`)).status === 200) {
    return known;
  }
  const id = await importUntouched(rootfs, digest, options);
  await privateFolder(folder);
  await replaceFile(file, `${id}\n`);
  return id;
}

/** What was read while somebody touched it is not kept, whatever was changed: it is read again. */
async function importUntouched(rootfs: string, digest: string, options: ImportOptions): Promise<string> {
  for (let attempt = 1; ; attempt += 1) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const { told, exitCode, said } = await importImage(rootfs, digest, options);
    if (exitCode === 0) {
      return idIn(told);
    }
    const { status } = lastOf(told);
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await (imageId.test(status) ? options.client.call('DELETE', `/images/${segment(status)}`) : undefined);
    if (exitCode !== touched || attempt === attempts) {
      throw new CasemateError('ENGINE_FAILED', `cannot read the image: ${visible(said.trim())}`);
    }
  }
}

interface Imported {
  /** by the engine */
  readonly told: unknown;
  /** of tar, and what it said */
  readonly exitCode: number;
  readonly said: string;
}

async function importImage(
  rootfs: string,
  digest: string,
  { client, env, isOwner = true, signal, spawn = spawnProcess }: ImportOptions,
): Promise<Imported> {
  const args = ['--create', '--file=-', '--numeric-owner', '--sort=name', '--one-file-system', '--directory', rootfs];
  const [program, ...rest] = isOwner
    ? (['tar', ...args, '.'] as const)
    : // Nobody writes to an image, so nobody needs to own a part of it.
      (['unshare', '--user', '--map-root-user', '--map-auto', '--', 'tar', ...args, '--owner=:0', '--group=:0', '.'] as const);
  const tar = spawn(program, rest, { env: { ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  const { promise: ended, resolve, reject } = Promise.withResolvers<number>();
  let said = '';
  tar.stderr?.on('data', (piece: Buffer) => {
    said = (said + piece.toString('utf8')).slice(-500);
  });
  tar.once('error', (error) =>
    reject(new CasemateError('TOOL_MISSING', `cannot start ${program}: ${error.message}`, { cause: error })),
  );
  tar.once('close', (code) => resolve(code ?? 128));
  ended.catch(() => undefined);
  const { stdout } = tar;
  if (stdout === null) {
    throw new CasemateError('ENGINE_FAILED', 'tar has no output');
  }
  try {
    const query = {
      fromSrc: '-',
      repo: ownRepository,
      tag: digest.slice(0, 24),
      message: `casemate sha256:${digest}`,
      changes: `LABEL ${imageLabel}=sha256:${digest}`,
    };
    const told = await client.must('POST', '/images/create', { query, upload: stdout, timeoutMs: importMs, signal });
    return { told, exitCode: await ended, said };
  } finally {
    tar.kill('SIGKILL');
  }
}

function idIn(told: unknown): string {
  const { status, error } = lastOf(told);
  if (!imageId.test(status)) {
    throw new CasemateError('ENGINE_FAILED', `the engine did not take the image: ${messageOf(error)}`);
  }
  return status;
}

/** Progress, one JSON document a line; the last one has the id. */
function lastOf(told: unknown): { readonly status: string; readonly error: unknown } {
  const lines = typeof told === 'string' ? told.trim().split('\n') : [JSON.stringify(told)];
  const last = fieldsOf(JSON.parse(lines.at(-1) ?? '{}'));
  return { status: textOf(last['status']), error: last['error'] };
}
