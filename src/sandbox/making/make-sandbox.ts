import { CasemateError } from '../../base/errors.ts';
import { newSandboxId, parseSandboxName, type SandboxId, type SandboxName } from '../../base/ids.ts';
import { checkedSessionValue, removeSessionValues, writeSessionValue } from '../../credentials/sealed/session-values.ts';
import { notBuilt } from '../../images/stored/store.ts';
import type { Environment } from '../../system/environment.ts';
import type { ProcessIdentity } from '../../system/process-identity.ts';
import { bindPlanCredentials } from '../credentials/bind-credentials.ts';
import type { SandboxContext } from '../context.ts';
import { lifeRecord } from '../life/lifecycle.ts';
import type { Locks } from '../life/locks.ts';
import { hashPlan, type Plan } from '../plan/plan.ts';
import type { Prepared } from './prepare.ts';
import type { Place } from '../host/room.ts';
import type { SandboxRow } from '../stored/store.ts';

/** Records a sandbox for a prepared plan. Nothing of it runs yet. */

export interface MakeOptions {
  readonly name: string | undefined;
  readonly ephemeral: boolean;
  readonly client: ProcessIdentity | undefined;
  readonly actor: string;
  readonly callerEnv: Environment;
  /** whose it will be, by name; absent: the person's at this host */
  readonly caller?: string | undefined;
  /** that it takes, of those that there may be */
  readonly place?: Place | undefined;
  /** values of the credentials that the plan says are given, by name */
  readonly given?: Readonly<Record<string, string>> | undefined;
}

interface Making {
  readonly prepared: Prepared;
  readonly options: MakeOptions;
}

export async function makeSandbox(context: SandboxContext, locks: Locks, { prepared, options }: Making): Promise<SandboxRow> {
  const { store } = context;
  const id = newSandboxId();
  options.place?.is(id);
  const given = options.name === undefined ? undefined : parseSandboxName(options.name);
  const plans = [prepared.plan, ...(prepared.plan.companions ?? []).map((one) => one.plan)];
  const unbuilt = plans.find(({ image }) => image.digest === undefined);
  if (unbuilt !== undefined) {
    throw notBuilt(unbuilt.image.recipe, []);
  }
  await sealGiven(context, id, options);
  try {
    return await makeRow(context, locks, { prepared, options, id, given });
  } catch (error) {
    // Nobody else would: no sandbox of this id is known.
    await removeSessionValues(context.sealed, (sandbox) => sandbox === id && store.find(id) === undefined).catch(() => undefined);
    throw error;
  }
}

/** Recorded by their keyed hash, as credentials are that a person sets. */
async function sealGiven({ sealed, journal }: SandboxContext, id: SandboxId, { given, actor }: MakeOptions): Promise<void> {
  for (const [name, text] of Object.entries(given ?? {})) {
    const value = checkedSessionValue(text, name);
    const entry = { sandbox: id, actor, action: 'credential.given', subject: name, decision: 'none', outcome: 'ok' } as const;
    // oxlint-disable-next-line no-await-in-loop -- one or two
    await journal.append({ ...entry, credential: journal.credentialHash(value) });
    // oxlint-disable-next-line no-await-in-loop -- as above
    await writeSessionValue(sealed, { sandbox: id, credential: name }, value);
  }
}

interface MakingRow extends Making {
  readonly id: SandboxId;
  readonly given: SandboxName | undefined;
}

async function makeRow(context: SandboxContext, locks: Locks, { prepared, options, id, given }: MakingRow): Promise<SandboxRow> {
  const { store, journal, clock } = context;
  // Read now, so that a missing key is said before anything is made; `start` reads again.
  await bindPlanCredentials(context, { plan: prepared.plan, sandboxId: id, callerEnv: options.callerEnv });
  const planHash = hashPlan(prepared.plan);
  // Only now: nothing is awaited between finding a free name and taking it.
  const name = given ?? freeName(context, prepared.plan, options.ephemeral);
  const row = { id, name, planHash, plan: JSON.stringify(prepared.plan), reason: 'asked', state: 'creating' as const };
  const { ephemeral, client, caller } = options;
  store.insert({ ...row, ephemeral, client, caller, createdMs: clock.nowMs() });
  // Whoever calls it by its name waits until it is on record.
  return await locks.run(id, async () => {
    try {
      await journal.append(lifeRecord(row, prepared.plan, { actor: options.actor, action: 'sandbox.create', outcome: 'ok' }));
    } catch (error) {
      store.move(id, { state: 'gone', reason: 'journal-unwritable' });
      throw error;
    }
    store.move(id, { state: 'created', reason: 'asked' });
    return store.find(id) ?? missing(id);
  });
}

/** From the folder's name, with a number where that is taken; throw-away sandboxes get a part of their id's randomness. */
function freeName(context: SandboxContext, plan: Plan, ephemeral: boolean): SandboxName {
  const folder = plan.workspace.path.split('/').at(-1) ?? '';
  const stem =
    folder
      .toLowerCase()
      .replaceAll(/[^a-z0-9-]+/g, '-')
      .replaceAll(/^-+|-+$/g, '')
      .slice(0, 28)
      .replace(/-+$/, '') || 'sandbox';
  if (ephemeral) {
    return parseSandboxName(`${stem}-${newSandboxId().slice(-6)}`);
  }
  for (let number = 1; ; number += 1) {
    const candidate = number === 1 ? stem : `${stem}-${number}`;
    if (context.store.find(candidate) === undefined) {
      return parseSandboxName(candidate);
    }
  }
}

function missing(id: SandboxId): never {
  throw new CasemateError('STORE_FAILED', `the sandbox ${id} is not in the state file`);
}
