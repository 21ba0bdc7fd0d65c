import { generateKeyPairSync } from 'node:crypto';

import { checkpointLine, signWitness, type Witness } from '../../src/journal/checkpoint.ts';
import { lineHash, noLine, placeEntry } from '../../src/journal/encode-record.ts';
import { keyIdOf, type JournalKeys } from '../../src/journal/journal-keys.ts';
import type { JournalEntry } from '../../src/journal/record.ts';

/** Journals in memory, made by the same functions as the real ones. */

export function memoryKeys(): JournalKeys {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  return { signing: privateKey, publicKey, keyId: keyIdOf(publicKey), credentialHash: () => '0'.repeat(16) };
}

export function entryOf(number: number): JournalEntry {
  return {
    sandbox: 'cm-0123456789abcdef',
    actor: 'sandbox',
    action: 'net.exchange',
    subject: `host${number}.example.com:443`,
    decision: number % 3 === 0 ? 'deny' : 'allow',
    rule: 'preset:claude:1',
    outcome: 'ok',
    detail: { status: 200, method: 'POST', reused: number % 2 === 0 },
  };
}

export interface MemoryLog {
  readonly lines: readonly string[];
  readonly keys: JournalKeys;
  readonly witness: Witness;
}

/** `count` records, every `every`th and the last of them a checkpoint. */
export function memoryLog(
  count: number,
  { every = 7, keys = memoryKeys() }: { every?: number; keys?: JournalKeys } = {},
): MemoryLog {
  const lines: string[] = [];
  let previous = noLine;
  for (let seq = 1; seq <= count; seq += 1) {
    const place = { seq, previous, time: new Date(Date.UTC(2026, 0, 1, 0, 0, seq)).toISOString() };
    const isCheckpoint = seq % every === 0 || seq === count;
    const line = isCheckpoint ? checkpointLine(place, keys) : placeEntry(entryOf(seq), place).line;
    lines.push(line);
    previous = lineHash(line);
  }
  return { lines, keys, witness: signWitness({ seq: count, hash: previous, time: '2026-01-01T00:00:00.000Z' }, keys) };
}

export function bytesOf(lines: readonly string[]): Buffer {
  return Buffer.from(lines.map((line) => `${line}\n`).join(''));
}
