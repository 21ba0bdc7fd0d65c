import { parseJson } from '../base/json.ts';
import { CasemateError } from '../base/errors.ts';
import { visible } from '../base/text.ts';
import type { Witness } from './checkpoint.ts';
import { readSmall } from './open-regular.ts';

/** Reads a witness file. Strict, because everything else is measured against it. */

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

const forms: Readonly<Record<keyof Witness, (value: unknown) => boolean>> = {
  version: (value) => value === 1,
  seq: (value) => typeof value === 'number' && Number.isSafeInteger(value) && value > 0,
  hash: (value) => isHex(value, 64),
  key: (value) => isHex(value, 16),
  signature: (value) => isHex(value, 128),
  time: (value) => typeof value === 'string',
  publicKey: (value) => typeof value === 'string',
};

function isWitness(value: unknown): value is Witness {
  if (typeof value !== 'object' || value === null) {
    return false;
  }
  const found = new Map<string, unknown>(Object.entries(value));
  return found.size === Object.keys(forms).length && Object.entries(forms).every(([name, isForm]) => isForm(found.get(name)));
}

function isHex(value: unknown, digits: number): boolean {
  return typeof value === 'string' && value.length === digits && /^[0-9a-f]+$/.test(value);
}
