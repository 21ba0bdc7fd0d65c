import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { openJournal } from '../src/journal/open-journal.ts';
import type { JournalEntry } from '../src/journal/record.ts';
import { publicKeyPath, readPublicKey } from '../src/journal/journal-keys.ts';
import { listSegments } from '../src/journal/segments.ts';
import { verifySegments } from '../src/journal/verify-journal.ts';
import { readWitness } from '../src/journal/witness.ts';

/** How fast the journal is: durable records a second by number of appenders, verified records a second. */

export interface BenchRow {
  readonly name: string;
  readonly unit: string;
  readonly samples: readonly number[];
  readonly note: string;
}

export type BenchResult = readonly BenchRow[];

const entry: JournalEntry = {
  sandbox: 'cm-0123456789abcdef',
  actor: 'sandbox',
  action: 'net.exchange',
  subject: 'api.example.com:443',
  decision: 'allow',
  rule: 'preset:claude:1',
  outcome: 'ok',
  credential: '0123456789abcdef',
  policy: '0'.repeat(64),
  detail: { status: 200, method: 'POST', ms: 17, bytesIn: 1234, bytesOut: 12 },
};

const rounds = 5;

/** Takes about 20 s. The folder is made below `TMPDIR`: its disk is what is measured. */
export async function benchJournal(): Promise<BenchResult> {
  const root = await mkdtemp(join(tmpdir(), 'casemate-bench-'));
  const place = { folder: join(root, 'state'), witnessPath: join(root, 'config', 'witness.json') };
  try {
    const rows: BenchRow[] = [];
    for (const appenders of [1, 8, 64, 512]) {
      rows.push(await benchAppend(place, appenders));
    }
    const threads: readonly (number | undefined)[] = [0, undefined];
    for (const count of threads) {
      rows.push(await benchVerify(place, count));
    }
    return rows;
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

interface Place {
  readonly folder: string;
  readonly witnessPath: string;
}

async function benchAppend(place: Place, appenders: number): Promise<BenchRow> {
  const each = Math.max(100, Math.round(1000 / Math.sqrt(appenders)));
  const journal = await openJournal(place);
  const samples: number[] = [];
  try {
    for (let round = -1; round < rounds; round += 1) {
      const start = performance.now();
      await Promise.all(
        Array.from({ length: appenders }, async () => {
          for (let number = 0; number < each; number += 1) {
            await journal.append(entry);
          }
        }),
      );
      const rate = (appenders * each * 1000) / (performance.now() - start);
      if (round >= 0) {
        samples.push(Math.round(rate));
      }
    }
  } finally {
    await journal.close();
  }
  const note = 'each waits for its record to be on disk (fdatasync) before the next; a warm-up round is left out';
  return { name: `append, ${appenders} ${appenders === 1 ? 'appender' : 'appenders'}`, unit: 'durable records/s', samples, note };
}

async function benchVerify(place: Place, threads: number | undefined): Promise<BenchRow> {
  const witness = await readWitness(place.witnessPath);
  const publicKey = await readPublicKey(publicKeyPath(place.folder));
  const segments = await listSegments(place.folder);
  const samples: number[] = [];
  let records = 0;
  for (let round = -1; round < rounds; round += 1) {
    const start = performance.now();
    const verdict = await verifySegments(segments, { witness, publicKey, threads });
    if (!verdict.valid) {
      throw new Error(`the journal is not valid: ${verdict.fault?.why}`);
    }
    records = verdict.records;
    if (round >= 0) {
      samples.push(Math.round((records * 1000) / (performance.now() - start)));
    }
  }
  const how = threads === 0 ? 'one thread' : 'as by default (threads from 16 MiB on)';
  return {
    name: `verify, ${how}`,
    unit: 'records/s',
    samples,
    note: `${records} records, form, chain and signatures; start of threads counted`,
  };
}

if (import.meta.main) {
  process.stdout.write(`${JSON.stringify(await benchJournal(), undefined, 2)}\n`);
}
