import { createHash, randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { lstat, open, rename, unlink, type FileHandle } from 'node:fs/promises';

import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import { descend, inFolder } from '../../system/descend.ts';
import { madeFolderIn } from '../../system/made-folder.ts';
import { leftBehind, ownMark } from '../../system/owner-mark.ts';
import type { Entry } from './entries.ts';
import { fault, openFolder } from './held-folder.ts';
import type { HostPlace } from './host-source.ts';

/**
 * Receives files of a sandbox on the host: each is written next to its destination, compared with the sender's hash, then moved
 * there.
 */
export interface TargetOptions {
  readonly overwrite: boolean;
  /** Rejects for a name, absolute, that no transfer may write. Asked for each entry, as the one before lies there. */
  readonly check: (path: string) => Promise<void>;
  /** Looks at the content of one file piece by piece; throws for what no transfer may bring out. */
  readonly look: (path: string) => (piece: Buffer) => void;
}

export interface Written {
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** Resolves to the files that were written, with the hashes that both ends computed. Throws `PATH_INVALID`. */
export async function writeToHost(
  { root, parts }: HostPlace,
  entries: AsyncIterable<Entry>,
  options: TargetOptions,
): Promise<readonly Written[]> {
  const written: Written[] = [];
  const tidied = new Set<string>();
  for await (const entry of entries) {
    const names = [...parts, ...(entry.path === '' ? [] : entry.path.split('/'))];
    const shown = `${root}/${names.join('/')}`;
    await options.check(shown);
    const folder = await madeFolder(root, names.slice(0, -1));
    try {
      const name = names.at(-1) ?? '';
      if (entry.kind === 'folder') {
        await (await step(folder, name, shown)).close();
      } else {
        const above = names.slice(0, -1).join('/');
        if (!tidied.has(above)) {
          tidied.add(above);
          await removeDrafts(folder);
        }
        written.push({ path: shown, bytes: entry.size, sha256: await writeFile({ folder, name, shown }, entry, options) });
      }
    } finally {
      await folder.close();
    }
  }
  return written;
}

const draftForm = /^\..+\.casemate-(\d+-\d+)-[0-9a-f]{12}$/;

/** What a transfer that was killed left here. Whoever can write here can have such a name removed, as it could itself. */
async function removeDrafts(folder: FileHandle): Promise<void> {
  const left = await leftBehind(inFolder(folder, '.'), draftForm);
  await Promise.all(left.map(async (path) => await unlink(path).catch(() => undefined)));
}

/** Folders that are not there are made; each belongs to whom the one above belongs to. */
async function madeFolder(root: string, parts: readonly string[]): Promise<FileHandle> {
  return await descend(await openFolder(root, []), parts, (folder, part, index) =>
    step(folder, part, `${root}/${parts.slice(0, index + 1).join('/')}`),
  );
}

async function step(folder: FileHandle, name: string, shown: string): Promise<FileHandle> {
  return await madeFolderIn(folder, name).catch((error: unknown) => {
    throw fault(shown, error);
  });
}

/** Root writes for whoever owns the folder. */
async function giveTo(handle: FileHandle, folder: FileHandle): Promise<void> {
  const { uid, gid } = await folder.stat();
  if (process.geteuid?.() === 0 && uid !== 0) {
    await handle.chown(uid, gid);
  }
}

interface FilePlace {
  readonly folder: FileHandle;
  readonly name: string;
  readonly shown: string;
}

async function writeFile(
  { folder, name, shown }: FilePlace,
  entry: Extract<Entry, { kind: 'file' }>,
  { overwrite, look }: TargetOptions,
): Promise<string> {
  await refuseExisting({ folder, name, shown }, overwrite);
  const draft = inFolder(folder, `.${name.slice(0, 60)}.casemate-${await ownMark()}-${randomBytes(6).toString('hex')}`);
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  const file = await open(draft, flags, 0o600).catch((error: unknown) => {
    throw fault(shown, error);
  });
  try {
    const hash = createHash('sha256');
    const seen = look(shown);
    for await (const piece of entry.content) {
      seen(piece);
      hash.update(piece);
      await file.writeFile(piece);
    }
    const sha256 = hash.digest('hex');
    if ((await entry.sha256()) !== sha256) {
      throw new CasemateError('PATH_INVALID', `${visible(shown)} arrived changed: its hash is another one than inside`);
    }
    await file.chmod(entry.executable ? 0o755 : 0o644);
    await giveTo(file, folder);
    // A link that was put there meanwhile is replaced, not followed.
    await rename(draft, inFolder(folder, name)).catch((error: unknown) => {
      throw fault(shown, error);
    });
    return sha256;
  } catch (error) {
    await unlink(draft).catch(() => undefined);
    throw error;
  } finally {
    await file.close();
  }
}

async function refuseExisting({ folder, name, shown }: FilePlace, overwrite: boolean): Promise<void> {
  const stats = await lstat(inFolder(folder, name)).catch(() => undefined);
  if (stats === undefined) {
    return;
  }
  if (!stats.isFile()) {
    throw new CasemateError('PATH_INVALID', `${visible(shown)} exists and is no plain file`);
  }
  if (!overwrite) {
    throw new CasemateError('PATH_INVALID', `${visible(shown)} exists`, {
      hint: 'Ask for it to be replaced (overwrite), or choose another name.',
    });
  }
}
