import { DatabaseSync, type SQLOutputValue } from 'node:sqlite';
import { randomBytes } from 'node:crypto';

import { CasemateError, isCasemateError, toCasemateError } from '../../base/errors.ts';
import { parseSandboxId, parseSandboxName, type SandboxId, type SandboxName } from '../../base/ids.ts';
import type { Invocation } from '../../engines/engine.ts';
import type { NetworkRule } from '../../policy/policy.ts';
import { formatStart, parseStart, type ProcessIdentity } from '../../system/process-identity.ts';
import { callerTable, callerTokens, type CallerTokens } from './caller-tokens.ts';
import { credentialMarks, credentialTables, type CredentialMarks } from './credential-marks.ts';

/**
 * What is known of every sandbox, in one SQLite file. Each transition is one transaction, and only the daemon writes. A killed
 * process loses none; a power cut may lose the last ones, together with the sandboxes that they were about.
 */

export const sandboxStates = ['creating', 'created', 'starting', 'running', 'stopping', 'stopped', 'removing', 'gone'] as const;
export type SandboxState = (typeof sandboxStates)[number];

export interface SandboxRow {
  readonly id: SandboxId;
  readonly name: SandboxName;
  readonly state: SandboxState;
  /** removed when its one command has ended */
  readonly ephemeral: boolean;
  /** canonical JSON of the `Plan` */
  readonly plan: string;
  readonly planHash: string;
  readonly createdMs: number;
  readonly startedMs: number | undefined;
  /** when the time limit ends it */
  readonly expiresMs: number | undefined;
  /** why it came into its present state, in a word: `asked`, `expired`, `idle`, `client-lost`, ... */
  readonly reason: string;
  /** process that a throw-away sandbox lives for */
  readonly client: ProcessIdentity | undefined;
  /** the caller whose it is, by name; absent: the person's at this host */
  readonly caller?: string | undefined;
  /** the sandbox whose server it is for: made, started and ended with that one; absent: it stands for itself */
  readonly parent?: SandboxId | undefined;
}

export interface Store {
  readonly ownerId: string;
  /** a key of this installation, for what must be unpredictable outside and stable here; 32 bytes */
  readonly installationKey: Buffer;
  /** Throws `NAME_IN_USE`. */
  readonly insert: (row: Omit<SandboxRow, 'startedMs' | 'expiresMs'>) => void;
  readonly find: (nameOrId: string) => SandboxRow | undefined;
  /** The newest sandbox of this name that was removed. */
  readonly findGone: (nameOrId: string) => SandboxRow | undefined;
  readonly list: () => readonly SandboxRow[];
  readonly move: (id: SandboxId, change: SandboxChange) => void;
  /** Again, once more is known of it. */
  readonly beginExecution: (execution: StoredExecution) => void;
  readonly endExecution: (id: string) => void;
  /** Executions whose end nobody recorded. */
  readonly openExecutions: () => readonly StoredExecution[];
  readonly trust: (hash: string, nowMs: number) => void;
  readonly isTrusted: (hash: string) => boolean;
  /** what was revoked and what was used */
  readonly credentials: CredentialMarks;
  /** who may come over the network */
  readonly callers: CallerTokens;
  /** What a person answered for the life of a sandbox; forgotten when it is gone. */
  readonly addAnswer: (sandbox: SandboxId, answer: StoredAnswer) => void;
  readonly answers: (sandbox: SandboxId) => readonly StoredAnswer[];
  readonly close: () => void;
}

/** What must be known of a running command after the daemon died: enough to end it and to record its end. */
export interface StoredExecution {
  readonly id: string;
  readonly sandbox: SandboxId;
  /** `undefined`: about to begin; nobody has been told how to start it */
  readonly invocation: Invocation | undefined;
  readonly client: ProcessIdentity | undefined;
  readonly actor: string;
  readonly subject: string;
  readonly startedMs: number;
  /** wall clock, when its own time limit ends it */
  readonly deadlineMs?: number | undefined;
}

export type StoredAnswer =
  | { readonly kind: 'allow'; readonly rules: readonly NetworkRule[] }
  /** `key` by `refusalKey` */
  | { readonly kind: 'deny'; readonly key: string };

export interface SandboxChange {
  readonly state: SandboxState;
  readonly reason: string;
  readonly startedMs?: number | undefined;
  readonly expiresMs?: number | undefined;
}

const schema = `
  CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS sandboxes (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, state TEXT NOT NULL, ephemeral INTEGER NOT NULL, plan TEXT NOT NULL,
    plan_hash TEXT NOT NULL, created_ms INTEGER NOT NULL, started_ms INTEGER, expires_ms INTEGER, reason TEXT NOT NULL,
    client_pid INTEGER, client_start TEXT, caller TEXT, parent TEXT) STRICT;
  CREATE UNIQUE INDEX IF NOT EXISTS live_name ON sandboxes (name) WHERE state <> 'gone';
  CREATE TABLE IF NOT EXISTS executions (
    id TEXT PRIMARY KEY, sandbox TEXT NOT NULL REFERENCES sandboxes (id), value TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS trusted (hash TEXT PRIMARY KEY, since_ms INTEGER NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS answers (sandbox TEXT NOT NULL REFERENCES sandboxes (id), value TEXT NOT NULL) STRICT;
`;

/** Goes up with every change of the tables; a file of a later one is refused, not guessed at. */
const schemaVersion = 5;

/** Opens or makes the state file. Throws `STORE_FAILED` with the path, here and in every method. */
export function openStore(path: string): Store {
  const database = guarded(path, 'open', () => new DatabaseSync(path));
  try {
    return guardAll(
      path,
      guarded(path, 'open', () => storeOn(database)),
    );
  } catch (error) {
    database.close();
    throw error;
  }
}

/** What SQLite says (a full disk, a damaged file) becomes one clear line. */
function guarded<T>(path: string, verb: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (isCasemateError(error)) {
      throw error;
    }
    throw new CasemateError(
      'STORE_FAILED',
      `cannot ${verb} the state file ${path}: ${error instanceof Error ? error.message : ''}`,
      {
        cause: error,
        hint: 'Check free space and permissions of that folder. A file that is damaged must be moved away; its sandboxes are then unknown.',
      },
    );
  }
}

function guardMarks(path: string, marks: CredentialMarks): CredentialMarks {
  return {
    ...marks,
    revoke: (mark) => guarded(path, 'write', () => marks.revoke(mark)),
    restore: (name, sandbox) => guarded(path, 'write', () => marks.restore(name, sandbox)),
    revocations: () => guarded(path, 'read', marks.revocations),
    used: (name, sandbox, nowMs) => guarded(path, 'write', () => marks.used(name, sandbox, nowMs)),
    uses: () => guarded(path, 'read', marks.uses),
    forget: (name) => guarded(path, 'write', () => marks.forget(name)),
  };
}

function guardAll(path: string, store: Store): Store {
  const read =
    <A extends readonly unknown[], T>(method: (...args: A) => T) =>
    (...args: A): T =>
      guarded(path, 'read', () => method(...args));
  const write =
    <A extends readonly unknown[], T>(method: (...args: A) => T) =>
    (...args: A): T =>
      guarded(path, 'write', () => method(...args));
  return {
    ...store,
    insert: write(store.insert),
    find: read(store.find),
    findGone: read(store.findGone),
    list: read(store.list),
    move: write(store.move),
    beginExecution: write(store.beginExecution),
    endExecution: write(store.endExecution),
    openExecutions: read(store.openExecutions),
    trust: write(store.trust),
    isTrusted: read(store.isTrusted),
    credentials: guardMarks(path, store.credentials),
    callers: {
      add: write(store.callers.add),
      byToken: read(store.callers.byToken),
      find: read(store.callers.find),
      revoke: write(store.callers.revoke),
      list: read(store.callers.list),
    },
    addAnswer: write(store.addAnswer),
    answers: read(store.answers),
  };
}

function storeOn(database: DatabaseSync): Store {
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 5000;');
  prepareSchema(database);
  const ownerId = metaValue(database, 'owner', () => Buffer.from(`own-${randomBytes(8).toString('hex')}`)).toString('utf8');
  const installationKey = metaValue(database, 'installation-key', () => randomBytes(32));
  const byLive = database.prepare("SELECT * FROM sandboxes WHERE (id = ? OR name = ?) AND state <> 'gone'");
  const byGone = database.prepare(
    "SELECT * FROM sandboxes WHERE (id = ? OR name = ?) AND state = 'gone' ORDER BY rowid DESC LIMIT 1",
  );
  const all = database.prepare("SELECT * FROM sandboxes WHERE state <> 'gone' ORDER BY created_ms, id");
  const update = database.prepare(
    'UPDATE sandboxes SET state = ?, reason = ?, started_ms = coalesce(?, started_ms), expires_ms = ? WHERE id = ?',
  );
  return {
    ownerId,
    installationKey,
    insert: (row) => insertRow(database, row),
    find: (key) => rowOf(byLive.get(key, key)),
    findGone: (key) => rowOf(byGone.get(key, key)),
    list: () => all.all().flatMap((values) => rowOf(values) ?? []),
    move(id, change) {
      update.run(change.state, change.reason, change.startedMs ?? null, change.expiresMs ?? null, id);
      if (change.state === 'gone') {
        database.prepare('DELETE FROM answers WHERE sandbox = ?').run(id);
      }
    },
    beginExecution(execution) {
      const { id, sandbox } = execution;
      database.prepare('INSERT OR REPLACE INTO executions VALUES (?, ?, ?)').run(id, sandbox, JSON.stringify(execution));
    },
    endExecution(id) {
      database.prepare('DELETE FROM executions WHERE id = ?').run(id);
    },
    openExecutions: () =>
      database
        .prepare('SELECT value FROM executions ORDER BY rowid')
        .all()
        .map(({ value }) => storedExecution(String(value))),
    trust(hash, nowMs) {
      database.prepare('INSERT OR IGNORE INTO trusted VALUES (?, ?)').run(hash, nowMs);
    },
    isTrusted: (hash) => database.prepare('SELECT 1 FROM trusted WHERE hash = ?').get(hash) !== undefined,
    addAnswer(sandbox, answer) {
      database.prepare('INSERT INTO answers VALUES (?, ?)').run(sandbox, JSON.stringify(answer));
    },
    answers: (sandbox) =>
      database
        .prepare('SELECT value FROM answers WHERE sandbox = ? ORDER BY rowid')
        .all(sandbox)
        .map(({ value }) => storedAnswer(String(value))),
    credentials: credentialMarks(database),
    callers: callerTokens(database),
    close: () => database.close(),
  };
}

function prepareSchema(database: DatabaseSync): void {
  const found = numberOf(database.prepare('PRAGMA user_version').get()?.['user_version']) ?? 0;
  if (found > schemaVersion) {
    throw new Error(`it was written by a later version of casemate (form ${found})`);
  }
  database.exec(`${schema} ${credentialTables} ${callerTable}`);
  const columns = database.prepare('PRAGMA table_info(sandboxes)').all();
  for (const added of ['caller', 'parent']) {
    if (!columns.some(({ name }) => name === added)) {
      database.exec(`ALTER TABLE sandboxes ADD COLUMN ${added} TEXT`);
    }
  }
  database.exec(`PRAGMA user_version = ${schemaVersion}`);
}

function insertRow(database: DatabaseSync, row: Omit<SandboxRow, 'startedMs' | 'expiresMs'>): void {
  const taken = database.prepare("SELECT id FROM sandboxes WHERE name = ? AND state <> 'gone'").get(row.name);
  if (taken !== undefined) {
    throw new CasemateError('NAME_IN_USE', `a sandbox named "${row.name}" exists`, {
      hint: `Choose another with --name, or run: casemate destroy ${row.name}`,
    });
  }
  database
    .prepare('INSERT INTO sandboxes VALUES (?, ?, ?, ?, ?, ?, ?, NULL, NULL, ?, ?, ?, ?, ?)')
    .run(
      row.id,
      row.name,
      row.state,
      row.ephemeral ? 1 : 0,
      row.plan,
      row.planHash,
      row.createdMs,
      row.reason,
      row.client?.pid ?? null,
      row.client === undefined ? null : formatStart(row.client),
      row.caller ?? null,
      row.parent ?? null,
    );
}

function metaValue(database: DatabaseSync, key: string, make: () => Buffer): Buffer {
  database.prepare('INSERT OR IGNORE INTO meta VALUES (?, ?)').run(key, make());
  const value = database.prepare('SELECT value FROM meta WHERE key = ?').get(key)?.['value'];
  if (!(value instanceof Uint8Array)) {
    throw new CasemateError('STORE_FAILED', `the state file has no usable value for "${key}"`);
  }
  return Buffer.from(value);
}

function rowOf(values: Record<string, SQLOutputValue> | undefined): SandboxRow | undefined {
  if (values === undefined) {
    return undefined;
  }
  const state = sandboxStates.find((candidate) => candidate === values['state']);
  if (state === undefined) {
    throw new CasemateError('STORE_FAILED', `the state file holds an unknown state "${String(values['state'])}"`);
  }
  const pid = numberOf(values['client_pid']);
  const { id, name } = identityOf(values);
  const { caller, parent } = values;
  return {
    id,
    name,
    state,
    ephemeral: values['ephemeral'] === 1,
    plan: String(values['plan']),
    planHash: String(values['plan_hash']),
    createdMs: numberOf(values['created_ms']) ?? 0,
    startedMs: numberOf(values['started_ms']),
    expiresMs: numberOf(values['expires_ms']),
    reason: String(values['reason']),
    client: pid === undefined ? undefined : parseStart(pid, String(values['client_start'])),
    ...(typeof caller === 'string' ? { caller } : {}),
    ...(typeof parent === 'string' ? { parent: parseSandboxId(parent) } : {}),
  };
}

function identityOf(values: Record<string, SQLOutputValue>): Pick<SandboxRow, 'id' | 'name'> {
  try {
    return { id: parseSandboxId(String(values['id'])), name: parseSandboxName(String(values['name'])) };
  } catch (error) {
    throw new CasemateError(
      'STORE_FAILED',
      `the state file holds a sandbox without a usable name: ${toCasemateError(error).message}`,
      { cause: error },
    );
  }
}

function numberOf(value: SQLOutputValue | undefined): number | undefined {
  return typeof value === 'number' ? value : undefined;
}

/** Our own file, written by `beginExecution` alone. */
function storedExecution(text: string): StoredExecution {
  // oxlint-disable-next-line no-unsafe-type-assertion -- the state file is private and this is the form it was written in
  return JSON.parse(text) as StoredExecution;
}

/** Our own file, written by `addAnswer` alone. */
function storedAnswer(text: string): StoredAnswer {
  // oxlint-disable-next-line no-unsafe-type-assertion -- the state file is private and this is the form it was written in
  return JSON.parse(text) as StoredAnswer;
}
