import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { readSealedValue } from '../../credentials/sealed/sealed-value.ts';
import type { Guarding } from '../../gateway/guards/guarding.ts';
import { noGuards } from '../../policy/guards.ts';
import { isErrno } from '../../system/files.ts';
import type { SandboxContext } from '../context.ts';
import { envSecrets } from './env-secrets.ts';
import { sandboxFolder } from '../host-files/folder.ts';
import { lockedVersions } from './lock-files.ts';
import type { Plan } from '../plan/plan.ts';
import type { SandboxRow } from '../stored/store.ts';

/** What the gateway needs for the guards of one sandbox, read from its project before anything in it runs. */
export async function guardingOf(context: SandboxContext, row: SandboxRow, plan: Plan): Promise<Guarding> {
  const rules = plan.guards ?? noGuards;
  const { known, ledger } = context.guards;
  const { mode, envFiles, except } = rules.secrets;
  const looks = envFiles && mode !== 'off';
  const [values, locked] = await Promise.all([
    looks ? envSecrets(plan.workspace.path, except) : [],
    rules.packages.length === 0 ? [] : rememberLocked(context, row, plan),
    mode === 'off' ? undefined : rememberSealed(context),
  ]);
  known.addFor(row.id, values);
  return {
    rules,
    ledger,
    known,
    locked: new Set(locked),
    processOf: (connection) => context.engine.processOf(row.id, connection),
    onAlarm() {
      ledger.addAlarm(row.id);
      if (row.parent !== undefined) {
        ledger.addAlarm(row.parent);
      }
    },
  };
}

/** Sealed values that no running sandbox uses must not leave either: somebody may have pasted one into a file. */
async function rememberSealed({ guards, sealed }: SandboxContext): Promise<void> {
  for (const { name } of await sealed.list('credential')) {
    // oxlint-disable-next-line no-await-in-loop -- few, and read from one file
    const secret = await readSealedValue(sealed, { name, hosts: [] }).catch(() => undefined);
    if (secret !== undefined) {
      guards.known.add(secret.reveal(), `credential ${name}`);
    }
  }
}

/**
 * Those of the lock files as they were at the start: what the sandbox writes into them later counts at the next start,
 * and not when only the daemon starts anew.
 */
async function rememberLocked(context: SandboxContext, row: SandboxRow, plan: Plan): Promise<readonly string[]> {
  const path = join(sandboxFolder(context.paths, row.id), 'locked-versions.json');
  if (row.state === 'running') {
    return await readLocked(path);
  }
  const found = await lockedVersions(plan.workspace.path);
  await writeFile(path, JSON.stringify(found), { mode: 0o600 });
  return found;
}

async function readLocked(path: string): Promise<readonly string[]> {
  try {
    const found: unknown = JSON.parse(await readFile(path, 'utf8'));
    return Array.isArray(found) ? found.filter((one) => typeof one === 'string') : [];
  } catch (error) {
    if (isErrno(error, 'ENOENT')) {
      return [];
    }
    throw error;
  }
}
