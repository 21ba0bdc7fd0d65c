import { CasemateError } from '../base/errors.ts';
import { visible } from '../base/text.ts';
import type { Witness } from './checkpoint.ts';
import { readSmall } from './open-regular.ts';

/** Reads a witness file: strict, because it is what the rest is measured by. */

const members = ['hash', 'key', 'publicKey', 'seq', 'signature', 'time', 'version'];

/** `undefined` when there is no file. Throws `JOURNAL_INVALID` when it is not a witness. */
export async function readWitness(path: string): Promise<Witness | undefined> {
  const bytes = await readSmall(path, { code: 'JOURNAL_INVALID' });
  if (bytes === undefined) {
    return undefined;
  }
  const parsed = parseJson(bytes.toString('utf8'));
  if (!isWitness(parsed)) {
    throw new CasemateError('JOURNAL_INVALID', `${visible(path)} is not a witness file`, {
      hint: 'It was changed or damaged. Bring it back from a backup; it is written anew with each checkpoint.',
    });
  }
  return parsed;
}

export function encodeWitness(witness: Witness): string {
  return `${JSON.stringify(witness, members, 2)}\n`;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isWitness(value: unknown): value is Witness {
  return (
    typeof value === 'object' && value !== null && Object.keys(value).toSorted().join() === members.join() &&
    'version' in value && value.version === 1 &&
    'seq' in value && typeof value.seq === 'number' && Number.isSafeInteger(value.seq) && value.seq > 0 &&
    'hash' in value && isHex(value.hash, 64) &&
    'key' in value && isHex(value.key, 16) &&
    'signature' in value && isHex(value.signature, 128) &&
    'time' in value && typeof value.time === 'string' &&
    'publicKey' in value && typeof value.publicKey === 'string'
  );
}

function isHex(value: unknown, digits: number): boolean {
  return typeof value === 'string' && value.length === digits && /^[0-9a-f]+$/.test(value);
}
