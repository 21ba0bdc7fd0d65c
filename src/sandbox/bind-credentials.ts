import { bindCredential, bindWithoutValue, type Binding, type BindOptions } from '../credentials/bind.ts';
import type { BoundCredential } from '../credentials/credential.ts';
import { plainSources } from '../policy/source-schema.ts';
import type { SandboxId } from '../base/ids.ts';
import { environmentOf, type Environment } from '../system/environment.ts';
import type { SandboxContext } from './context.ts';
import type { Plan } from './plan.ts';

/** The credentials of a plan, read from their sources into this process, with the phantoms the sandbox gets instead. */
export interface PlanCredentials {
  /** by credential name, for the gateway */
  readonly bound: ReadonlyMap<string, BoundCredential>;
  /** variable to phantom, for the sandbox's environment */
  readonly variables: Readonly<Record<string, string>>;
  /** phantom of the first credential of a provider */
  readonly phantomOf: (provider: string) => string | undefined;
  /** Reads the sources again; exchanges from now on use the new values. */
  readonly refresh: (callerEnv: Environment) => Promise<void>;
}

export interface BindFacts {
  readonly plan: Plan;
  readonly sandboxId: SandboxId;
  readonly callerEnv: Environment;
  /** Bind what can be known without the sources: exchanges that need a value are refused until one is given. */
  readonly withoutValues?: boolean | undefined;
}

/** Variables of the caller that the credentials of a plan are read from. */
export function callerVariables(plan: Plan): readonly string[] {
  return plan.credentials
    .flatMap(({ rule }) => plainSources(rule.source))
    .flatMap((source) => (source.kind === 'env' ? [source.name] : []));
}

/** Throws `CREDENTIAL_UNAVAILABLE` naming the first credential that has no readable source. */
export async function bindPlanCredentials(context: SandboxContext, facts: BindFacts): Promise<PlanCredentials> {
  const bindings = new Map<string, Binding>();
  const read = async (callerEnv: Environment, withoutValues: boolean): Promise<void> => {
    for (const { rule } of facts.plan.credentials) {
      const options = { ...bindOptions(context, facts, callerEnv) };
      // oxlint-disable-next-line no-await-in-loop -- sources may ask the person; one at a time
      bindings.set(rule.name, withoutValues ? bindWithoutValue(rule, options) : await bindCredential(rule, options));
    }
  };
  await read(facts.callerEnv, facts.withoutValues === true);
  const first = [...bindings.values()];
  return {
    bound: new Map(
      first.map((binding) => [binding.name, { ...binding, obtain: () => (bindings.get(binding.name) ?? binding).obtain() }]),
    ),
    variables: phantomVariables(facts.plan, bindings),
    phantomOf: (provider) => first.find((binding) => binding.provider === provider)?.phantom,
    refresh: (callerEnv) => read(callerEnv, false),
  };
}

function phantomVariables(plan: Plan, bindings: ReadonlyMap<string, Binding>): Readonly<Record<string, string>> {
  const entries = plan.credentials.flatMap(({ rule, variable }) => {
    const phantom = bindings.get(rule.name)?.phantom;
    return variable === undefined || phantom === undefined ? [] : [[variable, phantom] as const];
  });
  return Object.fromEntries(entries);
}

function bindOptions({ store, env, uid }: SandboxContext, facts: BindFacts, callerEnv: Environment): BindOptions {
  return { sandboxId: facts.sandboxId, installationKey: store.installationKey, env: layered(callerEnv, env), uid };
}

/** The caller's variables first: the daemon may have been started from another shell, with other keys or none. */
function layered(first: Environment, second: Environment): Environment {
  const names = new Set([...first.names(), ...second.names()]);
  return environmentOf(Object.fromEntries([...names].map((name) => [name, first.get(name) ?? second.get(name)])));
}
