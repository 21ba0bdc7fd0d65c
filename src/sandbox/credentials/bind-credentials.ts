import type { PlanCredentials } from './plan-credentials.ts';
import { CasemateError, toCasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import type { AgentLogin } from '../../agents/agent.ts';
import { awsVariables } from '../../credentials/aws/aws-chain.ts';
import { bindWithoutValue, type Binding, type BindOptions } from '../../credentials/bind.ts';
import type { BoundCredential, Material } from '../../credentials/credential.ts';
import type { LoginView } from '../../credentials/login/login-keeper.ts';
import { readSessionValue } from '../../credentials/sealed/session-values.ts';
import { readSealedValue } from '../../credentials/sealed/sealed-value.ts';
import type { KnownSecrets } from '../../gateway/secrets/known-secrets.ts';
import type { CredentialSource } from '../../policy/policy.ts';
import { plainSources } from '../../policy/written/source-schema.ts';
import type { SandboxId } from '../../base/ids.ts';
import { environmentOf, type Environment } from '../../system/environment.ts';
import type { SandboxContext } from '../context.ts';
import type { Plan, PlannedCredential } from '../plan/plan.ts';

/** Reads the credentials of a plan from their sources and makes phantoms for one sandbox. */
export interface BindFacts {
  readonly plan: Plan;
  readonly sandboxId: SandboxId;
  /** the sandbox whose server it is for: keys that were given for that one, and what was revoked there, hold here, too */
  readonly parent?: SandboxId | undefined;
  readonly callerEnv: Environment;
  /** A source that cannot be read is no fault: exchanges that need its value are refused until one is given. */
  readonly withoutValues?: boolean | undefined;
}

/** Variables of the caller that the credentials of a plan are read from. */
export function callerVariables(plan: Plan): readonly string[] {
  return plan.credentials.flatMap(({ rule }) => plainSources(rule.source)).flatMap(variablesOf);
}

/** Variables that a source is read from. */
export function variablesOf(source: CredentialSource): readonly string[] {
  return source.kind === 'env' ? [source.name] : source.kind === 'aws' ? awsVariables : [];
}

/** Throws `CREDENTIAL_UNAVAILABLE` naming the first credential that has no readable source. */
export async function bindPlanCredentials(context: SandboxContext, facts: BindFacts): Promise<PlanCredentials> {
  const hasLogin = facts.plan.credentials.some(({ rule }) => rule.source.kind === 'login');
  const logins = hasLogin ? await context.logins.list() : [];
  const bindings = new Map(
    facts.plan.credentials.map((planned) => [
      planned.rule.name,
      bindWithoutValue(planned.rule, {
        ...bindOptions(context, facts, planned),
        accountOf: (agent) => loginNamed(logins, agent),
      }),
    ]),
  );
  const refresh = async (callerEnv: Environment): Promise<void> => {
    for (const binding of bindings.values()) {
      // oxlint-disable-next-line no-await-in-loop -- sources may ask the person; one at a time
      await binding.refresh(layered(callerEnv, context.env));
    }
  };
  await (facts.withoutValues === true ? readWhatCan(bindings.values()) : refresh(facts.callerEnv));
  rememberAll(bindings.values(), context);
  return {
    bindings,
    bound: new Map([...bindings].map(([name, binding]) => [name, guarded(binding, context, facts)])),
    variables: phantomVariables(facts.plan, bindings),
    phantomOf: (provider) =>
      (bindings.get(provider) ?? [...bindings.values()].find((binding) => binding.provider === provider))?.phantom,
    loginOf: (agent) => agentLogin([...bindings.values()], logins, agent),
    phantomNamed: (name) => bindings.get(name)?.phantom,
    refresh,
    refreshOne: async (name, callerEnv) => await bindings.get(name)?.refresh(layered(callerEnv, context.env)),
  };
}

/** Real values are kept from leaving in any sandbox's requests, from before the first exchange that uses them. */
function rememberAll(bindings: Iterable<Binding>, { guards }: SandboxContext): void {
  for (const binding of bindings) {
    binding.obtain().then(
      (material) => remember(guards.known, binding.name, material),
      // It is known when it is used.
      () => undefined,
    );
  }
}

function remember(known: KnownSecrets, name: string, material: Material): void {
  const secrets = material.kind === 'text' ? [material.secret] : [material.secretAccessKey, material.sessionToken];
  for (const secret of secrets) {
    if (secret !== undefined) {
      known.add(secret.reveal(), `credential ${name}`);
    }
  }
}

function loginNamed(logins: readonly LoginView[], agent: string): LoginView | undefined {
  return logins.find((login) => login.agent === agent);
}

function agentLogin(bindings: readonly Binding[], logins: readonly LoginView[], agent: string): AgentLogin | undefined {
  const bound = bindings.find(({ source }) => source.kind === 'login' && source.agent === agent)?.login;
  if (bound === undefined) {
    return undefined;
  }
  const { scopes = [], plan, accountId } = loginNamed(logins, agent) ?? {};
  return { ...bound.standIns.now(), nowMs: bound.standIns.nowMs(), scopes, plan, accountId };
}

/** What a person can give again: one that died with the caller's environment, a login that has ended. */
const givenAgain: ReadonlySet<string> = new Set(['CREDENTIAL_UNAVAILABLE', 'LOGIN_ENDED']);

/** One that cannot be read must not take the others, and what runs in the sandbox, with it. */
async function readWhatCan(bindings: Iterable<Binding>): Promise<void> {
  for (const binding of bindings) {
    try {
      // oxlint-disable-next-line no-await-in-loop -- sources may ask the person; one at a time
      await binding.refresh();
    } catch (error) {
      if (!givenAgain.has(toCasemateError(error).code)) {
        throw error;
      }
    }
  }
}

/** What was revoked is given to nobody; each use is noted. */
function guarded(
  binding: Binding,
  { store, clock, guards }: SandboxContext,
  { sandboxId, parent = sandboxId }: Pick<BindFacts, 'sandboxId' | 'parent'>,
): BoundCredential {
  const { name } = binding;
  const marks = store.credentials;
  return {
    ...binding,
    epoch: () => binding.epoch() + marks.version(),
    async obtain() {
      const material = await binding.obtain();
      remember(guards.known, name, material);
      // Asked last: the value may have been waited for.
      if (marks.isRevoked(name, sandboxId) || marks.isRevoked(name, parent)) {
        throw new CasemateError('CREDENTIAL_REVOKED', `the credential "${visible(name)}" was revoked on this host`, {
          hint: `Give it back with: casemate credentials restore ${visible(name)}`,
        });
      }
      try {
        marks.used(name, sandboxId, clock.nowMs());
      } catch {
        // That a time cannot be noted is no reason to refuse the exchange; the journal has it.
      }
      return material;
    },
  };
}

function phantomVariables(plan: Plan, bindings: ReadonlyMap<string, Binding>): Readonly<Record<string, string>> {
  const entries = plan.credentials.flatMap(({ rule, variables }) =>
    variables.flatMap(({ name, part }) => {
      const phantom = bindings.get(rule.name)?.phantomPart(part);
      return phantom === undefined ? [] : [[name, phantom] as const];
    }),
  );
  return Object.fromEntries(entries);
}

function bindOptions(
  { store, env, uid, sealed, clock, logins, sendOnHost }: SandboxContext,
  facts: BindFacts,
  { hosts, rule }: PlannedCredential,
): BindOptions {
  return {
    sandboxId: facts.sandboxId,
    installationKey: store.installationKey,
    env: layered(facts.callerEnv, env),
    uid,
    readInside: facts.plan.workspace.path,
    clock,
    send: sendOnHost,
    stored: (name) => readSealedValue(sealed, { name, hosts }),
    given: () => readSessionValue(sealed, { sandbox: facts.parent ?? facts.sandboxId, credential: rule.name }),
    login: logins.obtain,
    loginRejected(agent, material) {
      if (material.kind === 'text') {
        logins.rejected(agent, material.secret.reveal());
      }
    },
  };
}

/** The caller's variables first: the daemon may have been started from another shell, with other keys or none. */
function layered(first: Environment, second: Environment): Environment {
  const names = new Set([...first.names(), ...second.names()]);
  return environmentOf(Object.fromEntries([...names].map((name) => [name, first.get(name) ?? second.get(name)])));
}
