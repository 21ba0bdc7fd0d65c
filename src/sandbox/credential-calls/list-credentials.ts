import { stat } from 'node:fs/promises';

import { visible } from '../../base/text.ts';
import type { LoginView } from '../../credentials/login/login-keeper.ts';
import { sealedNames } from '../../credentials/sealed/sealed-store.ts';
import { readNote, type ValueNote } from '../../credentials/sealed/sealed-value.ts';
import { describeSource } from '../../credentials/sources.ts';
import { registryKinds } from '../../policy/facts.ts';
import type { KnownCredential } from '../../policy/layers/resolve-credentials.ts';
import type { CredentialSource, NetworkRule } from '../../policy/policy.ts';
import { plainSources } from '../../policy/written/source-schema.ts';
import { privateFileFault } from '../../system/private-file.ts';
import type { SandboxContext } from '../context.ts';
import { credentialWorld, hostsByRules, hostsOf } from '../credentials/known-credentials.ts';
import { runningWith } from './credentials.ts';

/** Lists all credentials with what may be told of them. It reads no value and returns none. */
export interface CredentialView {
  readonly name: string;
  readonly provider: string;
  /** in the order in which they are asked */
  readonly sources: readonly SourceView[];
  /** patterns; where it has none of its own, those at which rules of the policy here send it */
  readonly hosts: readonly string[];
  /** file that defines it, `built in`, or `sealed` where no policy names it yet */
  readonly definedIn: string;
  /** RFC 3339 */
  readonly setAt: string | undefined;
  readonly rotatedAt: string | undefined;
  readonly lastUsedAt: string | undefined;
  /** running sandboxes that hold it, with the kind of source theirs came from */
  readonly sandboxes: readonly { readonly name: string; readonly source: string | undefined }[];
  /** `everywhere`, or the names of sandboxes */
  readonly revoked: readonly string[];
}

export interface SourceView {
  readonly kind: CredentialSource['kind'];
  readonly text: string;
  /** of kind `env`: the variable, which only the caller can look at */
  readonly variable: string | undefined;
  /** `unknown`: only reading it would tell, which may ask a person or run a program */
  readonly has: 'yes' | 'no' | 'unknown';
}

export interface ListCredentials {
  readonly cwd: string;
  /** rules of the policy here; asked for only where a credential has no hosts of its own */
  readonly rules: () => Promise<readonly NetworkRule[]>;
}

export async function listCredentials(context: SandboxContext, asked: ListCredentials): Promise<readonly CredentialView[]> {
  const { cwd } = asked;
  const sealed = await sealedNames(context.paths.state, 'credential');
  const world = await credentialWorld(context, { cwd, registries: registryKinds.filter((kind) => sealed.includes(kind)) });
  const logins = await context.logins.list();
  const notes = new Map((await context.sealed.list('credential')).map((entry) => [entry.name, readNote(entry)]));
  const names = [...new Set([...world.known.keys(), ...notes.keys()])].toSorted();
  const marks = { uses: context.store.credentials.uses(), revocations: context.store.credentials.revocations() };
  const isFree = ({ rule, hosts }: KnownCredential): boolean => rule.origin.layer !== 'default' && hosts === undefined;
  const rules = [...world.known.values()].some(isFree) ? await asked.rules() : [];
  return await Promise.all(
    names.map(async (name): Promise<CredentialView> => {
      const credential = world.known.get(name);
      const note = notes.get(name);
      const source: CredentialSource = credential?.rule.source ?? { kind: 'stored', name };
      const lastMs = marks.uses.find((use) => use.name === name)?.lastMs;
      const revoked = marks.revocations.filter((mark) => mark.name === name);
      const known = credential === undefined ? [] : hostsOf(credential, world.facts);
      return {
        name,
        provider: credential?.rule.provider ?? note?.provider ?? 'header',
        sources: await Promise.all(plainSources(source).map((one) => viewSource(one, { sealed, logins, uid: context.uid }))),
        hosts: firstFilled(note?.hosts, known) ?? hostsByRules(name, rules),
        definedIn: credential === undefined ? 'sealed' : definitionOf(credential.rule.origin),
        ...timesOf(note),
        lastUsedAt: timeOf(lastMs),
        sandboxes: runningWith(context, name).map(({ sandbox, binding }) => ({ name: sandbox, source: binding.sourceInUse() })),
        revoked: revoked.map(({ sandbox }) =>
          sandbox === undefined ? 'everywhere' : (context.store.find(sandbox)?.name ?? sandbox),
        ),
      };
    }),
  );
}

function firstFilled(...lists: readonly (readonly string[] | undefined)[]): readonly string[] | undefined {
  return lists.find((list) => list !== undefined && list.length > 0);
}

function definitionOf({ layer, source }: { readonly layer: string; readonly source: string }): string {
  return layer === 'default' ? 'built in' : source;
}

function timesOf(note: ValueNote | undefined): Pick<CredentialView, 'setAt' | 'rotatedAt'> {
  return { setAt: timeOf(note?.setMs), rotatedAt: timeOf(note?.rotatedMs) };
}

function timeOf(ms: number | undefined): string | undefined {
  return ms === undefined ? undefined : new Date(ms).toISOString();
}

interface Present {
  readonly sealed: readonly string[];
  readonly logins: readonly LoginView[];
  readonly uid: number;
}

async function viewSource(source: CredentialSource, present: Present): Promise<SourceView> {
  const variable = source.kind === 'env' ? source.name : undefined;
  const { has, state = '' } = await presence(source, present);
  return { kind: source.kind, text: describeSource(source) + state, variable, has };
}

interface Presence {
  readonly has: SourceView['has'];
  /** told beside the source */
  readonly state?: string;
}

function presenceOfLogin(agent: string, { logins }: Present): Presence {
  const login = logins.find((one) => one.agent === agent);
  if (login?.stopped !== undefined) {
    return { has: 'no', state: `, ended: ${login.stopped}` };
  }
  const until = login?.validUntilMs === undefined ? '' : `, valid until ${timeOf(login.validUntilMs) ?? ''}`;
  return { has: login === undefined ? 'no' : 'yes', state: until };
}

/** A file that would be refused is of no use to anybody: its state is why. */
async function presenceOfFile(path: string, { uid }: Present): Promise<Presence> {
  const there = await exists(path);
  const fault = there ? await privateFileFault(path, { uid }) : undefined;
  return fault === undefined
    ? { has: there ? 'yes' : 'no' }
    : { has: 'no', state: `, refused: it ${fault.message.replace(`${visible(path)} `, '')}` };
}

function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

async function presence(source: CredentialSource, present: Present): Promise<Presence> {
  switch (source.kind) {
    case 'stored':
      return { has: present.sealed.includes(source.name) ? 'yes' : 'no' };
    case 'login':
      return presenceOfLogin(source.agent, present);
    case 'file':
      return await presenceOfFile(source.path, present);
    case 'secret':
      return { has: (await exists(source.path)) ? 'yes' : 'no' };
    default:
      return { has: 'unknown' };
  }
}
