import { DatabaseSync } from 'node:sqlite';

import { CasemateError } from '../../base/errors.ts';
import { budgetKinds } from '../../policy/guards.ts';
import {
  accountKey,
  amountsBy,
  noAmounts,
  plus,
  windowStart,
  type Account,
  type Amounts,
  type Ledger,
} from '../../gateway/guards/ledger.ts';

/** How much of each budget was used, and how often an alarm was raised, in a file: no end of the daemon makes it less. */
export interface UsageLedger extends Ledger {
  readonly addAlarm: (sandboxId: string) => void;
  readonly alarms: (sandboxId: string) => number;
  /** When a sandbox is gone for good; what was counted over all of them stays. */
  readonly forget: (sandboxId: string) => void;
  readonly close: () => void;
}

const schema = `
  CREATE TABLE IF NOT EXISTS used (
    account TEXT NOT NULL, window_ms INTEGER NOT NULL, requests INTEGER NOT NULL, bytes_out INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL, tokens INTEGER NOT NULL, spend_micros INTEGER NOT NULL,
    PRIMARY KEY (account, window_ms)) STRICT;
  CREATE TABLE IF NOT EXISTS alarms (sandbox TEXT PRIMARY KEY, count INTEGER NOT NULL) STRICT;
`;

const columns = {
  requests: 'requests',
  bytesOut: 'bytes_out',
  inputTokens: 'input_tokens',
  outputTokens: 'output_tokens',
  tokens: 'tokens',
  spendMicros: 'spend_micros',
} as const;

/** Windows that ended this long ago are forgotten. */
const keptMs = 8 * 86_400_000;

/** Opens or makes the file. Throws `STORE_FAILED`, here and in every method. */
export function openUsageLedger(path: string): UsageLedger {
  const guarded = <T>(work: () => T): T => {
    try {
      return work();
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : '';
      throw new CasemateError('STORE_FAILED', `cannot use the file of budgets ${path}: ${why}`, {
        cause,
        hint: 'Check free space and permissions of that folder.',
      });
    }
  };
  return guarded(() => ledgerOn(new DatabaseSync(path), guarded));
}

function ledgerOn(database: DatabaseSync, guarded: <T>(work: () => T) => T): UsageLedger {
  database.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA busy_timeout = 5000; ${schema}`);
  database.prepare('DELETE FROM used WHERE window_ms > 0 AND window_ms < ?').run(Date.now() - keptMs);
  const select = database.prepare('SELECT * FROM used WHERE account = ? AND window_ms = ?');
  const replace = database.prepare('INSERT OR REPLACE INTO used VALUES (?, ?, ?, ?, ?, ?, ?, ?)');
  const used = (account: Account, nowMs: number): Amounts => {
    const row = select.get(accountKey(account), windowStart(account.per, nowMs));
    return row === undefined ? noAmounts : amountsBy((kind) => Number(row[columns[kind]] ?? 0));
  };
  const count = database.prepare('SELECT count FROM alarms WHERE sandbox = ?');
  return {
    used: (account, nowMs) => guarded(() => used(account, nowMs)),
    add: (account, amounts, nowMs) =>
      guarded(() => {
        const next = plus(used(account, nowMs), amounts);
        const values = budgetKinds.map((kind) => Math.round(next[kind]));
        replace.run(accountKey(account), windowStart(account.per, nowMs), ...values);
      }),
    addAlarm: (sandboxId) =>
      guarded(() => {
        database.prepare('INSERT INTO alarms VALUES (?, 1) ON CONFLICT (sandbox) DO UPDATE SET count = count + 1').run(sandboxId);
      }),
    alarms: (sandboxId) => guarded(() => Number(count.get(sandboxId)?.['count'] ?? 0)),
    forget: (sandboxId) =>
      guarded(() => {
        database.prepare('DELETE FROM used WHERE account LIKE ?').run(`${sandboxId} %`);
        database.prepare('DELETE FROM alarms WHERE sandbox = ?').run(sandboxId);
      }),
    close: () => database.close(),
  };
}
