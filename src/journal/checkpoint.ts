import { createPublicKey, sign, verify, type KeyObject } from 'node:crypto';

import { encodeRecord, placeEntry, type Place } from './encode-record.ts';
import { keyIdOf, type JournalKeys } from './journal-keys.ts';
import type { JournalEntry, JournalRecord } from './record.ts';

/**
 * Signed statements about the head of a journal. A checkpoint is a record: its signature covers the whole record and, through
 * `previous`, every record before it. A witness repeats the newest checkpoint and is kept apart.
 */

/** More records than this without a checkpoint are not a journal of ours. */
export const maxUnsigned = 1000;

const checkpointContext = 'casemate journal checkpoint v1\n';
const witnessContext = 'casemate journal witness v1\n';

/** The line of a checkpoint about the record before `place`. */
export function checkpointLine(place: Place, keys: JournalKeys): string {
  const unsigned = placeEntry(checkpointEntry(keys.keyId), place).record;
  const signature = sign(null, Buffer.from(checkpointContext + encodeRecord(unsigned)), keys.signing).toString('hex');
  return encodeRecord({ ...unsigned, detail: { key: keys.keyId, signature } });
}

function checkpointEntry(key: string): JournalEntry {
  return { actor: 'daemon', action: 'journal.checkpoint', subject: 'journal', decision: 'none', outcome: 'ok', detail: { key } };
}

/** Why a checkpoint record is not one of this key, or `undefined` when it is. */
export function checkpointFault(record: JournalRecord, publicKey: KeyObject): string | undefined {
  const { key, signature } = record.detail ?? {};
  if (typeof key !== 'string' || typeof signature !== 'string' || !/^[0-9a-f]{128}$/.test(signature)) {
    return 'the checkpoint has no signature';
  }
  if (key !== keyIdOf(publicKey)) {
    return `the checkpoint is signed by key ${key}, not by ${keyIdOf(publicKey)}`;
  }
  const signed = Buffer.from(checkpointContext + encodeRecord({ ...record, detail: { key } }));
  const asMade = Object.keys(record.detail ?? {}).length === 2;
  return asMade && verify(null, signed, publicKey, Buffer.from(signature, 'hex'))
    ? undefined
    : 'the signature of the checkpoint is wrong';
}

/** What is kept apart from the journal: record `seq` existed and its line had this hash. */
export interface Witness {
  readonly version: 1;
  readonly seq: number;
  readonly hash: string;
  readonly time: string;
  readonly key: string;
  /** SubjectPublicKeyInfo, PEM: what pins the key of the journal */
  readonly publicKey: string;
  /** hex */
  readonly signature: string;
}

export function signWitness(
  head: { readonly seq: number; readonly hash: string; readonly time: string },
  keys: JournalKeys,
): Witness {
  const { seq, hash, time } = head;
  const signature = sign(null, witnessBytes({ seq, hash, time, key: keys.keyId }), keys.signing).toString('hex');
  const publicKey = keys.publicKey.export({ type: 'spki', format: 'pem' }).toString();
  return { version: 1, seq, hash, time, key: keys.keyId, publicKey, signature };
}

/** The key that a witness pins; `undefined` when its signature is not by that key. */
export function witnessKey(witness: Witness): KeyObject | undefined {
  try {
    const publicKey = createPublicKey(witness.publicKey);
    const isGenuine =
      publicKey.asymmetricKeyType === 'ed25519' &&
      keyIdOf(publicKey) === witness.key &&
      verify(null, witnessBytes(witness), publicKey, Buffer.from(witness.signature, 'hex'));
    return isGenuine ? publicKey : undefined;
  } catch {
    return undefined;
  }
}

function witnessBytes({ seq, hash, time, key }: Pick<Witness, 'seq' | 'hash' | 'time' | 'key'>): Buffer {
  return Buffer.from(witnessContext + JSON.stringify({ hash, key, seq, time }));
}
