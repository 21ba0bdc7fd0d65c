import {
  createHmac,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  hash,
  randomBytes,
  type KeyObject,
} from 'node:crypto';
import { lstat } from 'node:fs/promises';
import { join } from 'node:path';

import { CasemateError } from '../base/errors.ts';
import { privateFolder, removeDrafts, writeDurably } from '../system/files.ts';
import { readSmall } from './open-regular.ts';

/** The keys of a journal: Ed25519 (RFC 8032) to sign checkpoints, HMAC-SHA256 to name credentials without holding them. */

export interface JournalKeys {
  readonly signing: KeyObject;
  readonly publicKey: KeyObject;
  readonly keyId: string;
  /** first 16 hex digits of the keyed hash */
  readonly credentialHash: (value: string) => string;
}

/** First 16 hex digits of the SHA-256 of the public key (SubjectPublicKeyInfo, DER). */
export function keyIdOf(publicKey: KeyObject): string {
  return hash('sha256', publicKey.export({ type: 'spki', format: 'der' }), 'hex').slice(0, 16);
}

const keysFolder = (folder: string): string => join(folder, 'keys');

/**
 * Reads the keys in `<folder>/keys/`, and makes them where `isNew`. Throws `JOURNAL_INVALID` when a key of a journal that
 * has records is gone, malformed or readable by others.
 */
export async function openKeys(folder: string, journal: { readonly isNew: boolean }): Promise<JournalKeys> {
  const keys = await privateFolder(keysFolder(folder));
  await removeDrafts(keys);
  const secret = await readOrMake(join(keys, 'credential-hmac.key'), {
    ...journal,
    make: () => `${randomBytes(32).toString('hex')}\n`,
  });
  const pem = await readOrMake(join(keys, 'signing.pem'), {
    ...journal,
    make: () => generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  });
  const signing = parseKey(() => createPrivateKey(pem), join(keys, 'signing.pem'));
  const publicKey = createPublicKey(signing);
  const publicPath = join(keys, 'signing.pub.pem');
  const publicPem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
  if ((await readSmall(publicPath, { code: 'JOURNAL_INVALID' }))?.toString('utf8') !== publicPem) {
    await writeDurably(publicPath, publicPem);
  }
  const hmacKey = Buffer.from(secret.trim(), 'hex');
  if (hmacKey.length !== 32) {
    throw new CasemateError('JOURNAL_INVALID', `${join(keys, 'credential-hmac.key')} is not a key of 32 bytes in hex`);
  }
  return {
    signing,
    publicKey,
    keyId: keyIdOf(publicKey),
    credentialHash: (value) => createHmac('sha256', hmacKey).update(value, 'utf8').digest('hex').slice(0, 16),
  };
}

/** The public key beside a journal, or `undefined`. Throws `JOURNAL_INVALID` when malformed. */
export async function readPublicKey(path: string): Promise<KeyObject | undefined> {
  const pem = await readSmall(path, { code: 'JOURNAL_INVALID' });
  return pem === undefined ? undefined : parseKey(() => createPublicKey(pem), path);
}

export const publicKeyPath = (folder: string): string => join(keysFolder(folder), 'signing.pub.pem');

async function readOrMake(path: string, options: { readonly isNew: boolean; readonly make: () => string }): Promise<string> {
  const present = await readSmall(path, { code: 'JOURNAL_INVALID' });
  if (present !== undefined) {
    await refuseShared(path);
    return present.toString('utf8');
  }
  if (!options.isNew) {
    throw new CasemateError('JOURNAL_INVALID', `${path} is gone, but the journal has records`, {
      hint: 'Bring the key back from a backup, or move the whole journal folder and the witness file away together.',
    });
  }
  const made = options.make();
  await writeDurably(path, made);
  return made;
}

async function refuseShared(path: string): Promise<void> {
  const { mode } = await lstat(path);
  if ((mode & 0o077) !== 0) {
    throw new CasemateError('JOURNAL_INVALID', `${path} can be read by others`, { hint: `Run: chmod 600 ${path}` });
  }
}

function parseKey(parse: () => KeyObject, path: string): KeyObject {
  try {
    const key = parse();
    if (key.asymmetricKeyType === 'ed25519') {
      return key;
    }
  } catch (error) {
    throw new CasemateError('JOURNAL_INVALID', `${path} is not a key`, { cause: error });
  }
  throw new CasemateError('JOURNAL_INVALID', `${path} is not an Ed25519 key`);
}
