import { CasemateError, toCasemateError } from '../../base/errors.ts';
import type { SandboxId } from '../../base/ids.ts';
import { visible } from '../../base/text.ts';
import type { Binding } from '../../credentials/bind.ts';
import { checkedValue } from '../../credentials/sources/checked-value.ts';
import { hasPhantom } from '../../credentials/phantom.ts';
import { isProviderName, providers } from '../../credentials/providers.ts';
import { readNote, writeSealedValue, type ValueNote } from '../../credentials/sealed/sealed-value.ts';
import { shortestNeedle } from '../../gateway/secrets/needles.ts';
import { sealedDefinition } from '../../policy/layers/resolve-credentials.ts';
import { readHostPattern } from '../../policy/matching/parse-host-pattern.ts';
import { plainSources } from '../../policy/written/source-schema.ts';
import type { Environment } from '../../system/environment.ts';
import { companionsOf } from '../life/companions.ts';
import type { SandboxContext } from '../context.ts';
import { credentialWorld } from '../credentials/known-credentials.ts';

/** Sets, rotates, revokes and removes credentials. Every step is in the journal, no value is. */
export interface CredentialCall {
  readonly name: string;
  readonly actor: string;
}

export interface SetCredential extends CredentialCall {
  readonly value: string;
  /** default: what it was before, else the provider of this name, else `header` */
  readonly provider?: string | undefined;
  /** patterns; empty: what they were before, else no bound beside that of the policy */
  readonly hosts: readonly string[];
}

export interface CredentialChange {
  readonly name: string;
  /** a value of this name was there before */
  readonly replaced: boolean;
  /** where the key that seals it is; `undefined`: nothing was sealed */
  readonly keyPlace: 'file' | 'keychain' | undefined;
  /** names of the sandboxes that use the new value from now on */
  readonly sandboxes: readonly string[];
  /** what the person should know, one sentence each */
  readonly notes: readonly string[];
}

/** Throws `USAGE` for what is no name, provider or host, `CREDENTIAL_UNAVAILABLE` for what is no value. */
export async function setCredential(context: SandboxContext, asked: SetCredential): Promise<CredentialChange> {
  const { name, actor } = asked;
  const { sealed, journal, clock, store } = context;
  const value = checkedNewValue(asked.value);
  const before = await noteOf(context, name);
  const note = newNote(asked, before, clock.nowMs());
  const entry = { actor, subject: name, decision: 'none', credential: journal.credentialHash(value) } as const;
  const action = before === undefined ? 'credential.set' : 'credential.rotate';
  const detail = { provider: note.provider, hosts: note.hosts.join(' ') };
  await journal.append({ ...entry, action, outcome: 'ok', detail });
  try {
    await writeSealedValue(sealed, name, { ...note, text: value });
  } catch (error) {
    await journal.append({ ...entry, action, outcome: 'failed', detail });
    throw error;
  }
  store.credentials.restore(name);
  const { sandboxes, notes } = await switchRunning(context, name);
  const told = [...notes, ...(isProviderName(name) ? [] : await noteOfUse(context, name, note.provider)), ...noteOfLength(value)];
  return { name, replaced: before !== undefined, keyPlace: sealed.keyPlace(), sandboxes, notes: told };
}

/** Names that are not built in mean something only once the person's own policy defines them. */
async function noteOfUse(context: SandboxContext, name: string, provider: string): Promise<readonly string[]> {
  try {
    const { known } = await credentialWorld(context, { cwd: '/' });
    return known.has(name) ? [] : [`No rule can name it before your policy says: ${sealedDefinition(name, provider)}`];
  } catch {
    // A policy that cannot be read is told of where it is used.
    return [];
  }
}

function noteOfLength(value: string): readonly string[] {
  return value.length < shortestNeedle
    ? [`It is shorter than ${shortestNeedle} characters: an answer that repeats it is passed on as it is.`]
    : [];
}

/** Reads sources that are not sealed again, in this environment, for every sandbox that runs. */
export async function rereadCredential(
  context: SandboxContext,
  { name, actor, callerEnv }: CredentialCall & { readonly callerEnv: Environment },
): Promise<CredentialChange> {
  const running = runningWith(context, name);
  const { journal, store } = context;
  const notes: string[] = [];
  const sandboxes: string[] = [];
  for (const { sandbox, refresh, binding } of running) {
    // oxlint-disable-next-line no-await-in-loop -- a source may ask the person; one at a time
    await refresh(callerEnv);
    // oxlint-disable-next-line no-await-in-loop -- as above
    const material = await binding.obtain();
    const secret = material.kind === 'text' ? material.secret : material.secretAccessKey;
    // oxlint-disable-next-line no-await-in-loop -- as above
    await journal.append({
      actor,
      action: 'credential.rotate',
      subject: name,
      decision: 'none',
      outcome: 'ok',
      credential: journal.credentialHash(secret.reveal()),
      detail: { source: binding.sourceInUse() ?? '', sandboxName: sandbox },
    });
    sandboxes.push(sandbox);
  }
  if (running.length === 0) {
    notes.push('No running sandbox holds it; the next start reads the source anyway.');
  }
  store.credentials.restore(name);
  return { name, replaced: running.length > 0, keyPlace: undefined, sandboxes, notes };
}

export interface RevokeAnswer {
  readonly name: string;
  /** exchanges and streams that were cut */
  readonly cut: number;
  /** running sandboxes that held it */
  readonly sandboxes: readonly string[];
}

/**
 * In one sandbox, or in all that are and will be, until it is set, rotated or restored. It is cut off even where that
 * cannot be recorded: whoever fills the disk must not keep a key by it. Throws then, and says so.
 */
export async function revokeCredential(
  context: SandboxContext,
  { name, actor, sandbox }: CredentialCall & { readonly sandbox: SandboxId | undefined },
): Promise<RevokeAnswer> {
  const { store, gateway, journal, clock } = context;
  // Its servers in sandboxes of their own have what it has.
  const meant = sandbox === undefined ? undefined : [sandbox, ...companionsOf(store, sandbox).map(({ id }) => id)];
  const held = runningWith(context, name).filter(({ id }) => meant?.some((one) => one === id) ?? true);
  const entry = { actor, sandbox, action: 'credential.revoke', subject: name, decision: 'none', outcome: 'ok' } as const;
  const unwritten = await journal.append(entry).then(
    () => undefined,
    (error: unknown) => toCasemateError(error),
  );
  const unmarked = fault(() => store.credentials.revoke({ name, sandbox, sinceMs: clock.nowMs() }));
  // After the mark: what is asked for from here on is refused, and what was given before is cut.
  const cuts = (meant ?? [undefined]).map((one) => gateway.cutCredential(name, { sandboxId: one }));
  const cut = cuts.reduce((sum, count) => sum + count, 0);
  const failure = unmarked ?? unwritten;
  if (failure !== undefined) {
    throw new CasemateError(
      failure.code,
      `the credential "${visible(name)}" is cut off now, but that could not be written down: ${failure.message}`,
      {
        cause: failure,
        hint: 'Make room on the disk and revoke it once more, or the next daemon gives it out again.',
      },
    );
  }
  return { name, cut, sandboxes: held.map((one) => one.sandbox) };
}

function fault(work: () => void): CasemateError | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    return toCasemateError(error);
  }
}

/** Resolves to whether it had been revoked. */
export async function restoreCredential(
  { store, journal }: SandboxContext,
  { name, actor, sandbox }: CredentialCall & { readonly sandbox: SandboxId | undefined },
): Promise<boolean> {
  await journal.append({ actor, sandbox, action: 'credential.restore', subject: name, decision: 'none', outcome: 'ok' });
  return store.credentials.restore(name, sandbox);
}

export interface RemovalList {
  readonly name: string;
  readonly removed: readonly string[];
  readonly sandboxes: readonly string[];
}

/** What `removeCredential` takes away. Throws `USAGE` where nothing is sealed under this name. */
export async function removalList(context: SandboxContext, name: string): Promise<RemovalList> {
  const note = await noteOf(context, name);
  if (note === undefined) {
    throw new CasemateError('USAGE', `nothing is sealed under the name "${visible(name)}"`, {
      hint: 'See: casemate credentials ls. A credential that a policy defines is removed from that file.',
    });
  }
  const hosts = note.hosts.length === 0 ? '' : ` for ${note.hosts.join(', ')}`;
  const users = runningWith(context, name).filter(({ binding }) => binding.sourceInUse() === 'stored');
  return {
    name,
    removed: [`sealed value "${name}" (${note.provider}${hosts})`],
    sandboxes: users.map(({ sandbox }) => sandbox),
  };
}

/** Sandboxes that use it are cut off at once. */
export async function removeCredential(context: SandboxContext, { name, actor }: CredentialCall): Promise<RemovalList> {
  const { sealed, store, gateway, journal } = context;
  const list = await removalList(context, name);
  const entry = { actor, action: 'credential.remove', subject: name, decision: 'none' } as const;
  await journal.append({ ...entry, outcome: 'ok' });
  try {
    await sealed.remove('credential', name);
  } catch (error) {
    await journal.append({ ...entry, outcome: 'failed' });
    throw error;
  }
  store.credentials.forget(name);
  for (const { binding, id } of runningWith(context, name)) {
    if (binding.sourceInUse() === 'stored') {
      binding.forget();
      gateway.cutCredential(name, { sandboxId: id });
    }
  }
  return list;
}

interface Running {
  readonly id: string;
  /** its name */
  readonly sandbox: string;
  readonly binding: Binding;
  readonly refresh: (callerEnv: Environment) => Promise<void>;
}

export function runningWith({ held, store }: SandboxContext, name: string): readonly Running[] {
  return [...held].flatMap(([id, { bindings, refreshOne }]) => {
    const binding = bindings.get(name);
    const sandbox = store.find(id)?.name ?? id;
    return binding === undefined ? [] : [{ id, sandbox, binding, refresh: (env: Environment) => refreshOne(name, env) }];
  });
}

/** Sandboxes whose credentials may come from the sealed value take it now, wherever theirs came from before. */
async function switchRunning(context: SandboxContext, name: string): Promise<Pick<CredentialChange, 'sandboxes' | 'notes'>> {
  const sandboxes: string[] = [];
  const notes = new Set<string>();
  for (const [id, { bindings }] of context.held) {
    for (const binding of bindings.values()) {
      const sources = plainSources(binding.source);
      const stored = sources.find((source) => source.kind === 'stored' && source.name === name);
      if (stored !== undefined) {
        const sandbox = context.store.find(id)?.name ?? id;
        const other = binding.sourceInUse();
        if (other !== undefined && other !== 'stored') {
          notes.add(`${sandbox} had it from another source (${other}), which comes first again at its next start.`);
        }
        // oxlint-disable-next-line no-await-in-loop -- few, and each is told of
        await binding.switchTo(stored).then(
          () => {
            sandboxes.push(sandbox);
            if (context.store.credentials.isRevoked(name, id)) {
              notes.add(`${sandbox} still must not use it: casemate credentials restore ${name} --sandbox ${sandbox}`);
            }
          },
          (error: unknown) => notes.add(`${sandbox}: ${error instanceof Error ? error.message : 'cannot use it'}`),
        );
      }
    }
  }
  return { sandboxes, notes: [...notes] };
}

async function noteOf({ sealed }: SandboxContext, name: string): Promise<ValueNote | undefined> {
  const entry = (await sealed.list('credential')).find((one) => one.name === name);
  return entry === undefined ? undefined : readNote(entry);
}

function newNote({ name, provider, hosts }: SetCredential, before: ValueNote | undefined, nowMs: number): ValueNote {
  checkUse({ provider, hosts });
  const given = { provider: provider ?? before?.provider ?? (isProviderName(name) ? name : 'header'), hosts };
  return before === undefined
    ? { ...given, setMs: nowMs, rotatedMs: undefined }
    : { ...given, hosts: hosts.length > 0 ? hosts : before.hosts, setMs: before.setMs, rotatedMs: nowMs };
}

/** What a credential is for and where it may go. Throws `USAGE`; a value need not be asked for before. */
export function checkUse({ provider, hosts }: Pick<SetCredential, 'provider' | 'hosts'>): void {
  if (provider !== undefined && !isProviderName(provider)) {
    throw new CasemateError('USAGE', `there is no provider "${visible(provider)}"`, {
      hint: `Known are ${Object.keys(providers).join(', ')}.`,
    });
  }
  hosts.forEach(checkHost);
}

function checkHost(host: string): void {
  const reading = readHostPattern(host);
  if ('fault' in reading) {
    throw new CasemateError('USAGE', `--host "${visible(host)}" ${reading.fault}`);
  }
}

function checkedNewValue(text: string): string {
  const value = checkedValue(text, 'this credential').reveal();
  if (hasPhantom(value)) {
    throw new CasemateError('CREDENTIAL_UNAVAILABLE', 'this is a phantom of a sandbox, not a key: it is worth nothing', {
      hint: 'Use the real key, from the host.',
    });
  }
  return value;
}
