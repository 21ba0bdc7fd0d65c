import type { DatabaseSync } from 'node:sqlite';

/** Callers that connect over the network: whose token it is, what it may do, until when. Only the hash of a token is stored. */
export interface CallerTokens {
  /** A caller of this name that is not revoked must not be there: see `find`. */
  readonly add: (caller: StoredCaller, tokenHash: string) => void;
  /** The one that this token is of, unless it was revoked. */
  readonly byToken: (tokenHash: string) => StoredCaller | undefined;
  readonly find: (name: string) => StoredCaller | undefined;
  /** Returns whether there was one. Its name may be given again; its sandboxes stay its own. */
  readonly revoke: (name: string) => boolean;
  readonly list: () => readonly StoredCaller[];
}

export const callerRoles = ['viewer', 'operator', 'admin'] as const;
export type CallerRole = (typeof callerRoles)[number];

export interface StoredCaller {
  readonly name: string;
  readonly role: CallerRole;
  /** absolute and real */
  readonly roots: readonly string[];
  /** absolute and real; absent: the user's own policy */
  readonly policy?: string | undefined;
  readonly createdMs: number;
  readonly expiresMs: number | undefined;
}

export const callerTable =
  'CREATE TABLE IF NOT EXISTS callers (name TEXT PRIMARY KEY, token_hash TEXT NOT NULL UNIQUE, value TEXT NOT NULL) STRICT;';

export function callerTokens(database: DatabaseSync): CallerTokens {
  const read = (row: Record<string, unknown> | undefined): StoredCaller | undefined =>
    // oxlint-disable-next-line no-unsafe-type-assertion -- the state file is private and this is the form it was written in
    row === undefined ? undefined : (JSON.parse(String(row['value'])) as StoredCaller);
  return {
    add(caller, tokenHash) {
      database.prepare('INSERT INTO callers VALUES (?, ?, ?)').run(caller.name, tokenHash, JSON.stringify(caller));
    },
    byToken: (tokenHash) => read(database.prepare('SELECT value FROM callers WHERE token_hash = ?').get(tokenHash)),
    find: (name) => read(database.prepare('SELECT value FROM callers WHERE name = ?').get(name)),
    revoke(name) {
      const { changes } = database.prepare('DELETE FROM callers WHERE name = ?').run(name);
      // On the disk now: a power cut must not give it back.
      database.exec('PRAGMA wal_checkpoint(FULL)');
      return changes > 0;
    },
    list: () =>
      database
        .prepare('SELECT value FROM callers ORDER BY name')
        .all()
        .flatMap((row) => read(row) ?? []),
  };
}
