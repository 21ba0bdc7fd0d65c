import { constants } from 'node:fs';
import { mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';

import { CasemateError } from '../base/errors.ts';
import { isErrno, syncFolder } from '../system/files.ts';
import { publicKeyPath, readPublicKey, keyIdOf } from './journal-keys.ts';
import { readBlocks } from './read-blocks.ts';
import { listSegments, openSegment, type Segment } from './segments.ts';
import { verifySegments, type JournalVerdict } from './verify-journal.ts';
import { encodeWitness, readWitness } from './witness.ts';

/**
 * An evidence bundle: the whole journal with its checkpoints, the witness, the public key, and instructions for checking them
 * elsewhere.
 */

export interface BundleReceipt {
  readonly folder: string;
  readonly keyId: string;
  readonly files: readonly string[];
}

const witnessName = 'witness.json';
const keyName = 'public-key.pem';

/** Makes the folder `output`, which must not exist. Throws `PATH_INVALID`, and `JOURNAL_INVALID` where nothing can be proved. */
export async function writeBundle(
  folder: string,
  options: { readonly witnessPath: string; readonly output: string },
): Promise<BundleReceipt> {
  const { witnessPath, output } = options;
  // The witness first: the copy of a journal that grows meanwhile then holds all the witness has seen.
  const witness = await readWitness(witnessPath);
  const publicKey = await readPublicKey(publicKeyPath(folder));
  const segments = await listSegments(folder);
  if (publicKey === undefined || segments.length === 0) {
    throw new CasemateError('JOURNAL_INVALID', `there is no journal in ${folder}`, { hint: 'It begins with the first sandbox.' });
  }
  await makeFolder(output);
  const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
  for (const segment of segments) {
    // oxlint-disable-next-line no-await-in-loop -- one file open at a time
    await copyLines(segment, join(output, segment.name));
  }
  const files = new Map([
    [keyName, pem],
    ['README.txt', explanation(keyIdOf(publicKey))],
  ]);
  if (witness !== undefined) {
    files.set(witnessName, encodeWitness(witness));
  }
  for (const [name, text] of files) {
    // oxlint-disable-next-line no-await-in-loop -- three small files
    await writeNew(join(output, name), text);
  }
  await syncFolder(output);
  return { folder: output, keyId: keyIdOf(publicKey), files: [...segments.map(({ name }) => name), ...files.keys()] };
}

/** Verifies a bundle by what is in it. Whoever made the bundle may have made the key: compare `keyId` with one you trust. */
export async function verifyBundle(folder: string): Promise<JournalVerdict & { readonly keyId: string | undefined }> {
  const witness = await readWitness(join(folder, witnessName));
  const publicKey = await readPublicKey(join(folder, keyName));
  const verdict = await verifySegments(await listSegments(folder), { witness, publicKey });
  const keyId = publicKey === undefined ? undefined : keyIdOf(publicKey);
  return witness !== undefined && keyId !== undefined && keyId !== witness.key
    ? {
        ...verdict,
        keyId,
        valid: false,
        fault: { segment: keyName, line: 0, why: `the key is ${keyId}, but the witness is by ${witness.key}` },
      }
    : { ...verdict, keyId };
}

async function makeFolder(output: string): Promise<void> {
  try {
    await mkdir(output, { mode: 0o700 });
  } catch (error) {
    const exists = isErrno(error, 'EEXIST');
    throw new CasemateError('PATH_INVALID', exists ? `${output} exists already` : `cannot make the folder ${output}`, {
      cause: error,
      hint: 'Give a path that does not exist, in a folder that does.',
    });
  }
}

/** A line that is just being written is left out: it is not recorded yet. */
async function copyLines(segment: Segment, to: string): Promise<void> {
  const from = await openSegment(segment);
  const copy = await open(to, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600);
  try {
    for await (const { bytes } of readBlocks(from)) {
      await copy.writeFile(bytes);
    }
    await copy.sync();
  } finally {
    await copy.close();
    await from.close();
  }
}

async function writeNew(path: string, text: string): Promise<void> {
  const file = await open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

function explanation(keyId: string): string {
  return `Evidence bundle of a casemate journal. Key ${keyId}.

Check it, offline:

    casemate journal verify --bundle THIS_FOLDER

Compare the key above with one you got another way: "journal verify" prints it on the machine the journal is from.

By other means: each line of journal-*.jsonl, in order of file and line, is one record in canonical JSON (RFC 8785).
"previous" is the SHA-256 of the line before without its line feed (64 zeros in the first), "seq" counts from 1. In records
of the action journal.checkpoint, detail.signature is Ed25519 by public-key.pem over the text
"casemate journal checkpoint v1", a line feed, and the record's line without detail.signature. witness.json says which hash
the line of record "seq" has; its signature is over "casemate journal witness v1", a line feed, and
{"hash":...,"key":...,"seq":...,"time":...}.

It shows that no record was changed, removed, reordered or cut off since it was signed. It does not show that a record is
true, nor anything against somebody who holds the signing key and could write the witness.
`;
}
