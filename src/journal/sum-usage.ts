import type { JournalRecord } from './record.ts';

/** Sums tokens and spend from the records of exchanges, by sandbox, credential and model. */
export interface UsageRow {
  /** name, or its id where the records do not tell */
  readonly sandbox: string;
  /** name of the credential; `undefined`: without one */
  readonly credential: string | undefined;
  readonly model: string;
  readonly requests: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly cacheReadTokens: number;
  readonly cacheWriteTokens: number;
  /** millionths of a US dollar */
  readonly spendMicros: number;
  /** a part of the tokens or of the spend is an estimate */
  readonly isEstimated: boolean;
}

export interface UsageSum {
  readonly add: (record: JournalRecord) => void;
  /** the dearest first */
  readonly rows: () => readonly UsageRow[];
}

export function createUsageSum(): UsageSum {
  const names = new Map<string, string>();
  const rows = new Map<string, UsageRow>();
  return {
    add(record) {
      const { sandbox = '', action, subject, detail } = record;
      if (action.startsWith('sandbox.') && sandbox !== '') {
        names.set(sandbox, subject);
      }
      const model = detail?.['model'];
      if (action !== 'net.exchange' || typeof model !== 'string') {
        return;
      }
      const credential = typeof detail?.['account'] === 'string' ? detail['account'] : undefined;
      const key = JSON.stringify([sandbox, credential, model]);
      rows.set(key, plus(rows.get(key) ?? empty(sandbox, credential, model), record));
    },
    rows: () =>
      [...rows.values()]
        .map((row) => ({ ...row, sandbox: names.get(row.sandbox) ?? row.sandbox }))
        .toSorted((a, b) => b.spendMicros - a.spendMicros || b.requests - a.requests),
  };
}

function empty(sandbox: string, credential: string | undefined, model: string): UsageRow {
  const counts = { requests: 0, inputTokens: 0, outputTokens: 0, cacheReadTokens: 0, cacheWriteTokens: 0, spendMicros: 0 };
  return { sandbox, credential, model, ...counts, isEstimated: false };
}

function plus(row: UsageRow, { detail }: JournalRecord): UsageRow {
  const amount = (name: string): number => {
    const value = detail?.[name];
    return typeof value === 'number' ? value : 0;
  };
  return {
    ...row,
    requests: row.requests + 1,
    inputTokens: row.inputTokens + amount('inputTokens'),
    outputTokens: row.outputTokens + amount('outputTokens'),
    cacheReadTokens: row.cacheReadTokens + amount('cacheReadTokens'),
    cacheWriteTokens: row.cacheWriteTokens + amount('cacheWriteTokens'),
    spendMicros: row.spendMicros + amount('spendMicros'),
    isEstimated: row.isEstimated || detail?.['priceUnknown'] === true || detail?.['tokensEstimated'] === true,
  };
}
