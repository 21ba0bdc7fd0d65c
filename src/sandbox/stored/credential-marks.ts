import type { DatabaseSync } from 'node:sqlite';

/** What is remembered of credentials besides their values: which were revoked, and when and where each was last used. */
export interface CredentialMarks {
  /** In one sandbox, or in all that are and will be. */
  readonly revoke: (mark: RevokedMark) => void;
  /** Returns whether it had been revoked so. Without a sandbox: the revocation that holds for all; those of single ones stay. */
  readonly restore: (name: string, sandbox?: string) => boolean;
  readonly isRevoked: (name: string, sandbox: string) => boolean;
  readonly revocations: () => readonly RevokedMark[];
  /** Goes up with every change of what is revoked. */
  readonly version: () => number;
  /** Cheap enough to be called for each exchange; on disk at most once a minute for each pair. */
  readonly used: (name: string, sandbox: string, nowMs: number) => void;
  readonly uses: () => readonly CredentialUse[];
  /** All that is known of a credential, but for its revocations in single sandboxes. */
  readonly forget: (name: string) => void;
}

export interface RevokedMark {
  readonly name: string;
  /** id; `undefined`: everywhere */
  readonly sandbox: string | undefined;
  readonly sinceMs: number;
}

export interface CredentialUse {
  readonly name: string;
  readonly sandbox: string;
  readonly lastMs: number;
}

export const credentialTables = `
  CREATE TABLE IF NOT EXISTS credentials_revoked (
    name TEXT NOT NULL, sandbox TEXT NOT NULL, since_ms INTEGER NOT NULL, PRIMARY KEY (name, sandbox)) STRICT;
  CREATE TABLE IF NOT EXISTS credentials_used (
    name TEXT NOT NULL, sandbox TEXT NOT NULL, last_ms INTEGER NOT NULL, PRIMARY KEY (name, sandbox)) STRICT;
`;

const writtenEveryMs = 60_000;
/** Uses in sandboxes that are long gone tell nobody anything. */
const keptUses = 1000;

export function credentialMarks(database: DatabaseSync): CredentialMarks {
  const revoked = new Set(readRevoked(database).map(({ name, sandbox }) => keyOf(name, sandbox)));
  const lastUse = new Map<string, { readonly use: CredentialUse; readonly writtenMs: number }>();
  let version = 0;
  return {
    revoke({ name, sandbox, sinceMs }) {
      // In force before it is on disk, which may be full.
      revoked.add(keyOf(name, sandbox));
      version += 1;
      database.prepare('INSERT OR IGNORE INTO credentials_revoked VALUES (?, ?, ?)').run(name, sandbox ?? '', sinceMs);
      // The log of changes reaches the disk now: a power cut must not give a credential back.
      database.exec('PRAGMA wal_checkpoint(FULL)');
    },
    restore(name, sandbox) {
      database.prepare('DELETE FROM credentials_revoked WHERE name = ? AND sandbox = ?').run(name, sandbox ?? '');
      version += 1;
      return revoked.delete(keyOf(name, sandbox));
    },
    isRevoked: (name, sandbox) => revoked.has(keyOf(name, undefined)) || revoked.has(keyOf(name, sandbox)),
    revocations: () => readRevoked(database),
    version: () => version,
    used(name, sandbox, nowMs) {
      const before = lastUse.get(keyOf(name, sandbox));
      const isDue = before === undefined || nowMs - before.writtenMs >= writtenEveryMs;
      lastUse.set(keyOf(name, sandbox), { use: { name, sandbox, lastMs: nowMs }, writtenMs: isDue ? nowMs : before.writtenMs });
      if (isDue) {
        database.prepare('INSERT OR REPLACE INTO credentials_used VALUES (?, ?, ?)').run(name, sandbox, nowMs);
      }
    },
    uses() {
      const known = new Map(readUses(database).map((use) => [keyOf(use.name, use.sandbox), use]));
      lastUse.forEach(({ use }, key) => known.set(key, use));
      return [...known.values()].toSorted((a, b) => b.lastMs - a.lastMs);
    },
    forget(name) {
      database.prepare('DELETE FROM credentials_used WHERE name = ?').run(name);
      // What was taken from a single sandbox stays taken: another value of this name may be set while it runs.
      database.prepare("DELETE FROM credentials_revoked WHERE name = ? AND sandbox = ''").run(name);
      revoked.delete(keyOf(name, undefined));
      for (const key of [...lastUse.keys()].filter((one) => one.startsWith(`${name} `))) {
        lastUse.delete(key);
      }
      version += 1;
    },
  };
}

/** Names of credentials and ids of sandboxes hold no space. */
function keyOf(name: string, sandbox: string | undefined): string {
  return `${name} ${sandbox ?? ''}`;
}

function readRevoked(database: DatabaseSync): readonly RevokedMark[] {
  return database
    .prepare('SELECT name, sandbox, since_ms FROM credentials_revoked ORDER BY name, sandbox')
    .all()
    .map((row) => ({
      name: String(row['name']),
      sandbox: row['sandbox'] === '' ? undefined : String(row['sandbox']),
      sinceMs: Number(row['since_ms']),
    }));
}

function readUses(database: DatabaseSync): readonly CredentialUse[] {
  return database
    .prepare('SELECT name, sandbox, last_ms FROM credentials_used ORDER BY last_ms DESC LIMIT ?')
    .all(keptUses)
    .map((row) => ({ name: String(row['name']), sandbox: String(row['sandbox']), lastMs: Number(row['last_ms']) }));
}
