import { randomBytes } from 'node:crypto';
import { lstat, mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { toCasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import { isErrno, writeDurably } from '../../system/files.ts';
import { readPrivateFile } from '../../system/private-file.ts';
import { unavailable } from '../sources/checked-value.ts';
import { readKeychain, writeKeychain, type KeychainAccess } from '../sources/keychain.ts';

/**
 * The key of the sealed values. It is in the operating system's keychain if one answers, and otherwise in a file of the
 * configuration folder: outside the state folder, so that a copy of the state holds no value that can be opened.
 */
export interface SealKeyPlace extends KeychainAccess {
  /** configuration folder, absolute */
  readonly config: string;
  readonly uid: number;
}

export interface SealKey {
  readonly master: Buffer;
  readonly place: 'file' | 'keychain';
}

const fileName = 'seal.key';
const service = 'casemate';
const label = 'Key of the values that Casemate sealed';

/** The key where a file of sealed values says that it is. Throws `CREDENTIAL_UNAVAILABLE`: without it nothing is opened. */
export async function findSealKey(place: SealKey['place'], where: SealKeyPlace): Promise<SealKey> {
  const text = place === 'file' ? await readKeyFile(where) : await readKeychain(entryOf(where), where);
  if (text === undefined) {
    throw unavailable(
      place === 'file'
        ? `the key of the sealed values is missing: ${visible(join(where.config, fileName))}`
        : `the key of the sealed values is not in the keychain (${service}/${entryOf(where).account})`,
      'Bring it back from a backup, or move the sealed file away and set the credentials again.',
    );
  }
  return { master: parseKey(text, place, where), place };
}

/** For the first value that is sealed. A key that is there already is used; one is never replaced. */
export async function findOrMakeSealKey(where: SealKeyPlace): Promise<SealKey> {
  const inFile = await readKeyFile(where);
  if (inFile !== undefined) {
    return { master: parseKey(inFile, 'file', where), place: 'file' };
  }
  const inKeychain = await keyInKeychain(where);
  if (inKeychain !== undefined) {
    return { master: parseKey(inKeychain, 'keychain', where), place: 'keychain' };
  }
  const master = randomBytes(32);
  await makeFolder(where.config);
  await writeDurably(join(where.config, fileName), `${master.toString('hex')}\n`);
  return { master, place: 'file' };
}

/** People make this folder by hand for their policy: others may look into it, for the file itself is shut, but not write. */
async function makeFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  if (((await stat(path)).mode & 0o022) !== 0) {
    throw unavailable(
      `others may change ${visible(path)}, where the key of the sealed values goes`,
      `Run: chmod go-w ${visible(path)}`,
    );
  }
}

/** The key of a keychain that answers, made if need be; `undefined` where there is none to use. */
async function keyInKeychain(where: SealKeyPlace): Promise<string | undefined> {
  const { env, platform = process.platform } = where;
  if (platform !== 'darwin' && env.get('DBUS_SESSION_BUS_ADDRESS') === undefined) {
    return undefined;
  }
  const entry = entryOf(where);
  try {
    const found = await readKeychain(entry, where);
    if (found !== undefined) {
      return found;
    }
    await writeKeychain(entry, randomBytes(32).toString('hex'), { ...where, label });
    // What it gives back is what counts: one that forgets must not be trusted with the only key.
    return await readKeychain(entry, where);
  } catch {
    return undefined;
  }
}

/** One entry for each configuration folder: two installations of one user do not share a key. */
function entryOf({ config }: SealKeyPlace): { readonly service: string; readonly account: string } {
  return { service, account: `seal-key:${config}` };
}

async function readKeyFile({ config, uid }: SealKeyPlace): Promise<string | undefined> {
  const path = join(config, fileName);
  try {
    await lstat(path);
  } catch (error) {
    if (isErrno(error, 'ENOENT') || isErrno(error, 'ENOTDIR')) {
      return undefined;
    }
  }
  try {
    return (await readPrivateFile(path, { uid, maxBytes: 1024 })).trim();
  } catch (error) {
    const { message, hint } = toCasemateError(error);
    throw unavailable(`the key of the sealed values cannot be used: ${message}`, hint);
  }
}

function parseKey(text: string, place: SealKey['place'], { config }: SealKeyPlace): Buffer {
  if (!/^[0-9a-f]{64}$/.test(text)) {
    const where = place === 'file' ? visible(join(config, fileName)) : 'the keychain';
    throw unavailable(`the key of the sealed values in ${where} is damaged`, 'Bring it back from a backup.');
  }
  return Buffer.from(text, 'hex');
}
