import { bindCredential } from '../credentials/bind.ts';
import type { BoundCredential } from '../credentials/credential.ts';
import type { SandboxId } from '../base/ids.ts';
import { environmentOf, type Environment } from '../system/environment.ts';
import type { SandboxContext } from './context.ts';
import type { Plan, PlannedCredential } from './plan.ts';

/** The credentials of a plan, read from their sources into this process, with the phantoms the sandbox gets instead. */
export interface PlanCredentials {
  /** by credential name, for the gateway */
  readonly bound: ReadonlyMap<string, BoundCredential>;
  /** variable to phantom, for the sandbox's environment */
  readonly variables: Readonly<Record<string, string>>;
  /** phantom of the first credential of a provider */
  readonly phantomOf: (provider: string) => string | undefined;
}

export interface BindFacts {
  readonly plan: Plan;
  readonly sandboxId: SandboxId;
  readonly callerEnv: Environment;
}

/** Variables of the caller that the credentials of a plan are read from. */
export function callerVariables(plan: Plan): readonly string[] {
  return plan.credentials.flatMap(({ source }) => (source.kind === 'env' ? [source.name] : []));
}

/** Throws `CREDENTIAL_UNAVAILABLE` naming the first credential that has no readable source. */
export async function bindPlanCredentials(context: SandboxContext, facts: BindFacts): Promise<PlanCredentials> {
  const bound = new Map<string, BoundCredential>();
  const variables: Record<string, string> = {};
  for (const planned of facts.plan.credentials) {
    // oxlint-disable-next-line no-await-in-loop -- sources may ask the person; one at a time
    const credential = await bind(context, planned, facts);
    bound.set(planned.name, credential);
    if (planned.variable !== undefined) {
      variables[planned.variable] = credential.phantom;
    }
  }
  return {
    bound,
    variables,
    phantomOf: (provider) => [...bound.values()].find((credential) => credential.provider === provider)?.phantom,
  };
}

async function bind(context: SandboxContext, planned: PlannedCredential, facts: BindFacts): Promise<BoundCredential> {
  const { store, env, uid } = context;
  return await bindCredential(planned, {
    sandboxId: facts.sandboxId,
    installationKey: store.installationKey,
    env: layered(facts.callerEnv, env),
    uid,
  });
}

/** The caller's variables first: the daemon may have been started from another shell, with other keys or none. */
function layered(first: Environment, second: Environment): Environment {
  const names = new Set([...first.names(), ...second.names()]);
  return environmentOf(Object.fromEntries([...names].map((name) => [name, first.get(name) ?? second.get(name)])));
}
