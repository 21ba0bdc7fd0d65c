import { CasemateError } from '../../base/errors.ts';
import { parseHost } from '../../base/host.ts';
import { visible } from '../../base/text.ts';
import { bindCredential } from '../../credentials/bind.ts';
import { readSealedValue } from '../../credentials/sealed/sealed-value.ts';
import type { Field } from '../../gateway/http/fields.ts';
import type { Environment } from '../../system/environment.ts';
import { registryKinds } from '../../policy/facts.ts';
import type { CredentialRule, NetworkRule } from '../../policy/policy.ts';
import type { SandboxContext } from '../context.ts';
import type { CredentialCall } from './credentials.ts';
import { credentialWorld, hostsByRules, hostsOf, requireKnown } from '../credentials/known-credentials.ts';

/** Makes one real call with the real value that changes nothing, and reports only its outcome. */
export interface TestCredential extends CredentialCall {
  readonly callerEnv: Environment;
  readonly cwd: string;
  /** path at its host, for providers that have no call of their own here */
  readonly path: string | undefined;
  /** one of its hosts; default: the only one */
  readonly host: string | undefined;
  /** rules of the policy here: where one redirects the host, the call goes there, too */
  readonly rules: readonly NetworkRule[];
}

export interface TestAnswer {
  readonly name: string;
  /** method and address */
  readonly call: string;
  readonly status: number | undefined;
  /** `accepted`: 2xx; `rejected`: 401 or 403; `unclear`: another answer; `no answer` */
  readonly outcome: 'accepted' | 'rejected' | 'unclear' | 'no answer';
  readonly message: string;
}

interface HarmlessCall {
  readonly host: string;
  readonly target: string;
  readonly fields: readonly Field[];
}

/** Throws `USAGE` where there is no harmless call, `CREDENTIAL_UNAVAILABLE` where there is no value. */
export async function testCredential(context: SandboxContext, asked: TestCredential): Promise<TestAnswer> {
  const { name, actor } = asked;
  const { journal, gateway } = context;
  const { rule, call } = await planTest(context, asked);
  const binding = await bindCredential(rule, {
    sandboxId: 'host',
    installationKey: context.store.installationKey,
    env: asked.callerEnv,
    uid: context.uid,
    clock: context.clock,
    stored: (stored) => readSealedValue(context.sealed, { name: stored, hosts: [call.host] }),
  });
  const subject = `${call.host}:443`;
  const entry = { actor, action: 'credential.test', subject, decision: 'none', detail: { name, path: call.target } } as const;
  await journal.append({ ...entry, outcome: 'asked' });
  const upstream = asked.rules.find(({ host, credential }) => credential === name && host.host === call.host)?.upstream;
  const answer = await gateway.probe({
    host: parseHost(call.host),
    port: 443,
    upstream,
    method: 'GET',
    target: call.target,
    fields: [...call.fields, ...signatureOf(binding)],
    credential: binding,
  });
  const outcome = !answer.ok ? 'no answer' : outcomeOf(answer.status);
  const credential = answer.ok && answer.secret !== undefined ? journal.credentialHash(answer.secret) : undefined;
  await journal.append({ ...entry, credential, outcome: answer.ok ? String(answer.status) : answer.reason });
  return {
    name,
    call: `GET https://${call.host}${call.target}`,
    status: answer.ok ? answer.status : undefined,
    outcome,
    message: answer.ok ? describe(outcome, answer.status) : answer.message,
  };
}

async function planTest(context: SandboxContext, asked: TestCredential): Promise<{ rule: CredentialRule; call: HarmlessCall }> {
  const { name } = asked;
  // Where the package sources are is asked for only where the call goes to one.
  const registries = registryKinds.filter((kind) => kind === name);
  const world = await credentialWorld(context, { cwd: asked.cwd, registries });
  requireKnown(name, world);
  const credential = world.known.get(name);
  if (credential === undefined) {
    throw new CasemateError('USAGE', `no policy says how "${visible(name)}" goes on the wire, so it cannot be tried`, {
      hint: `Define it in your own policy file: credentials: { ${visible(name)}: { provider: bearer, source: { stored: ${visible(name)} } } }`,
    });
  }
  const known = hostsOf(credential, world.facts);
  const hosts = known.length > 0 ? known : hostsByRules(name, asked.rules);
  return { rule: credential.rule, call: harmlessCall(credential.rule, hosts, asked) };
}

const json: Field = ['accept', 'application/json'];
const agent: Field = ['user-agent', 'casemate'];

/** Calls that read who one is, or what there is, and cost nothing. */
const ownCalls: Readonly<Record<string, HarmlessCall>> = {
  anthropic: { host: 'api.anthropic.com', target: '/v1/models', fields: [json, agent, ['anthropic-version', '2023-06-01']] },
  openai: { host: 'api.openai.com', target: '/v1/models', fields: [json, agent] },
  github: { host: 'api.github.com', target: '/user', fields: [['accept', 'application/vnd.github+json'], agent] },
  aws: {
    host: 'sts.us-east-1.amazonaws.com',
    target: '/?Action=GetCallerIdentity&Version=2011-06-15',
    fields: [json, agent],
  },
};

function harmlessCall(rule: CredentialRule, hosts: readonly string[], { path, host }: TestCredential): HarmlessCall {
  const own = ownCalls[rule.provider];
  if (path === undefined && own !== undefined) {
    return host === undefined ? own : { ...own, host: oneHost(rule, hosts, host) };
  }
  if (path === undefined && rule.provider === 'npm') {
    return { host: oneHost(rule, hosts, host), target: '/-/whoami', fields: [json, agent] };
  }
  if (path === undefined) {
    throw new CasemateError('USAGE', `there is no call that only tries a credential of the provider ${rule.provider}`, {
      hint:
        rule.provider === 'pypi'
          ? 'An index has none; an upload is the first to tell.'
          : 'Name one that changes nothing: --path /v1/whoami',
    });
  }
  if (!/^\/[\x21-\x7e]*$/.test(path)) {
    throw new CasemateError('USAGE', `--path "${visible(path)}" is not a path; it begins with / and holds no spaces`);
  }
  return { host: oneHost(rule, hosts, host), target: path, fields: [json, agent] };
}

function oneHost(rule: CredentialRule, hosts: readonly string[], asked: string | undefined): string {
  const exact = hosts.filter((host) => !host.startsWith('*.'));
  if (asked !== undefined) {
    const isOwn = hosts.some((host) => host === asked || (host.startsWith('*.') && asked.endsWith(host.slice(1))));
    if (!isOwn) {
      throw new CasemateError('USAGE', `${visible(asked)} is not a host of the credential "${visible(rule.name)}"`, {
        hint: `Its hosts: ${hosts.join(', ') || 'none are set'}.`,
      });
    }
    return asked;
  }
  const [only, ...more] = exact;
  if (only === undefined || more.length > 0) {
    throw new CasemateError('USAGE', `say at which host to try "${visible(rule.name)}": --host HOST`, {
      hint:
        hosts.length === 0
          ? 'No rule of the policy here sends it anywhere; set its hosts under "hosts".'
          : `Its hosts: ${hosts.join(', ')}.`,
    });
  }
  return only;
}

/** What is signed anew needs a signature first, of which region and service are read. */
function signatureOf({
  inject,
  phantom,
}: {
  readonly inject: { readonly kind: string };
  readonly phantom: string;
}): readonly Field[] {
  const scope = `${phantom}/20200101/us-east-1/sts/aws4_request`;
  const value = `AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=host, Signature=${'0'.repeat(64)}`;
  return inject.kind === 'sigv4' ? [['authorization', value]] : [];
}

function outcomeOf(status: number): TestAnswer['outcome'] {
  if (status === 401 || status === 403) {
    return 'rejected';
  }
  return status >= 200 && status < 300 ? 'accepted' : 'unclear';
}

function describe(outcome: TestAnswer['outcome'], status: number): string {
  const words = {
    accepted: 'this one call was accepted',
    rejected: 'this one call was rejected: the value is not, or no longer, good for it',
    unclear: 'neither accepted nor rejected: the host answered otherwise',
    'no answer': 'there was no answer',
  };
  return `${words[outcome]} (status ${status})`;
}
