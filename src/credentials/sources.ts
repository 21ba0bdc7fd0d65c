import { realpath } from 'node:fs/promises';
import { isAbsolute, join, resolve } from 'node:path';
import { setTimeout } from 'node:timers/promises';

import type { SourceAccess } from './sources/source-access.ts';
import { toCasemateError } from '../base/errors.ts';
import { visible } from '../base/text.ts';
import type { CredentialSource } from '../policy/policy.ts';
import { stampOf } from '../system/file-stamp.ts';
import { readPrivateFile } from '../system/private-file.ts';
import { readAwsChain } from './aws/aws-chain.ts';
import { profileStamp } from './aws/aws-profile.ts';
import { checkedValue, maxValueBytes, unavailable, withoutLastLineFeed } from './sources/checked-value.ts';
import { readCommand } from './sources/command-source.ts';
import type { Material, Secret } from './credential.ts';
import { readKeychain } from './sources/keychain.ts';
import { readSecretFile } from './sources/secret-file.ts';
import { isProviderName, providers, type Provider } from './providers.ts';

/** Reads a credential from where the policy says it is. No error from this file holds a value or the output of a command. */

type PlainSource = Exclude<CredentialSource, { readonly kind: 'first' }>;

/** A value and what is known about how long it holds. */
export interface Reading {
  readonly material: Material;
  /** the source that gave it, of several the one that was there */
  readonly source: PlainSource;
  /** milliseconds since 1970; `undefined`: no end is known */
  readonly expiresMs: number | undefined;
  /** of a file as it was read: another stamp later means another value */
  readonly stamp: string | undefined;
}

/** Throws `CREDENTIAL_UNAVAILABLE`: no such source, a file others can read, a failing command, a value unfit for a header. */
export async function readSource(source: CredentialSource, access: SourceAccess): Promise<Reading> {
  const found = await lookUp(source, access);
  if (found !== undefined) {
    return found;
  }
  throw source.kind === 'first'
    ? unavailable(`none of its sources has a value: ${source.sources.map(describeSource).join('; ')}`, firstHint(source.sources))
    : unavailable(absence(source), absenceHint(source));
}

function firstHint(sources: readonly CredentialSource[]): string {
  const stored = sources.find((source) => source.kind === 'stored');
  if (stored === undefined) {
    return 'Set one of them.';
  }
  const row: Provider | undefined = isProviderName(stored.name) ? providers[stored.name] : undefined;
  const login = row?.login === undefined ? '' : `; with a subscription: casemate login ${row.login}`;
  return `Set one of them, or seal a value: casemate credentials set ${visible(stored.name)}${login}`;
}

function absence(source: CredentialSource): string {
  const isFile = source.kind === 'file' || source.kind === 'secret';
  return isFile ? `credential ${describeSource(source)} does not exist` : `${describeSource(source)} is not set or empty`;
}

/** A source in words, without what may be secret in it. */
export function describeSource(source: CredentialSource): string {
  switch (source.kind) {
    case 'env':
      return `environment variable ${visible(source.name)}`;
    case 'file':
      return `file ${visible(source.path)}`;
    case 'command':
      return 'command';
    case 'stored':
      return `sealed value "${visible(source.name)}"`;
    case 'keychain':
      return `keychain entry ${visible(source.service)}/${visible(source.account)}`;
    case 'secret':
      return `mounted secret ${visible(source.path)}`;
    case 'aws':
      return source.profile === undefined ? 'AWS configuration' : `AWS profile ${visible(source.profile)}`;
    case 'given':
      return 'key given for this sandbox';
    case 'login':
      return `login of ${visible(source.agent)}`;
    case 'first':
      return source.sources.map(describeSource).join(', else ');
    default:
      return source satisfies never;
  }
}

function absenceHint(source: CredentialSource): string {
  switch (source.kind) {
    case 'stored':
      return `Run: casemate credentials set ${visible(source.name)}`;
    case 'given':
      return 'Make the sandbox anew, with its key.';
    case 'login':
      return `Run: casemate login ${visible(source.agent)}`;
    default:
      return 'Set it, or name another source.';
  }
}

/** `undefined` where nothing is there; throws where something is there that must not be used. */
async function lookUp(source: CredentialSource, access: SourceAccess): Promise<Reading | undefined> {
  switch (source.kind) {
    case 'first':
      return firstOf(source.sources, access);
    case 'stored':
      return ofSecret(source, await access.stored?.(source.name));
    case 'given':
      return ofSecret(source, await access.given?.());
    case 'login':
      return ofMaterial(source, await access.login?.(source.agent));
    case 'aws': {
      const stamp = await profileStamp(access);
      const found = await (access.readAws ?? readAwsChain)({ profile: source.profile }, access);
      return found && { ...found, source, stamp };
    }
    default:
      return readOnHost(source, access);
  }
}

async function readOnHost(
  source: Exclude<PlainSource, { readonly kind: 'stored' | 'given' | 'login' | 'aws' }>,
  access: SourceAccess,
): Promise<Reading | undefined> {
  switch (source.kind) {
    case 'env':
      return text(source, access.env.get(source.name));
    case 'file':
      return fromFile(source, access);
    case 'command':
      return text(source, await readCommand(source.command, access));
    case 'keychain':
      return text(source, await readKeychain(source, access));
    case 'secret':
      return fromSecretFile(source, access);
    default:
      return source satisfies never;
  }
}

async function firstOf(sources: readonly CredentialSource[], access: SourceAccess): Promise<Reading | undefined> {
  for (const source of sources) {
    // oxlint-disable-next-line no-await-in-loop -- the order is the meaning
    const found = await lookUp(source, access);
    if (found !== undefined) {
      return found;
    }
  }
  return undefined;
}

function text(source: PlainSource, value: string | undefined, stamp?: string): Reading | undefined {
  return value === undefined ? undefined : ofSecret(source, checkedValue(value, describeSource(source)), stamp);
}

function ofSecret(source: PlainSource, value: Secret | undefined, stamp?: string): Reading | undefined {
  return ofMaterial(source, value && { kind: 'text', secret: value }, stamp);
}

function ofMaterial(source: PlainSource, material: Material | undefined, stamp?: string): Reading | undefined {
  return material && { material, source, expiresMs: undefined, stamp };
}

async function fromFile(source: PlainSource & { kind: 'file' }, access: SourceAccess): Promise<Reading | undefined> {
  const home = access.env.get('HOME');
  const path = source.path.startsWith('~/') && home !== undefined ? join(home, source.path.slice(2)) : source.path;
  if (!isAbsolute(path)) {
    throw unavailable(`credential file ${visible(source.path)} is not an absolute path`);
  }
  await refuseInside(path, access);
  // Before the content: a change in between is then seen at the next look, never missed.
  const stamp = await (access.stampOf ?? stampOf)(path);
  try {
    const content = await readSettled(path, access);
    return text({ ...source, path }, withoutLastLineFeed(content), stamp);
  } catch (error) {
    const fault = toCasemateError(error);
    if (stamp === undefined && fault.code === 'PATH_INVALID') {
      return undefined;
    }
    throw unavailable(fault.code === 'PATH_INVALID' ? `credential file ${fault.message}` : fault.message, fault.hint);
  }
}

/**
 * A value that stands in the workspace is no secret of the host: everything inside reads it, and may write another. Nor is one
 * that is reached through it, for whoever writes a link there would choose which file of the host is read.
 */
async function refuseInside(path: string, { readInside }: SourceAccess): Promise<void> {
  if (readInside === undefined) {
    return;
  }
  // Each folder on the way by its real path. What is not there is told of by whoever reads it.
  const steps = resolve(path).split('/');
  const ways = steps.map((_, index) => steps.slice(0, index + 1).join('/') || '/');
  const reals = await Promise.all(ways.map(async (way) => await realpath(way).catch(() => undefined)));
  if (reals.some((real) => real === readInside || real?.startsWith(`${readInside}/`) === true)) {
    throw unavailable(`credential file ${visible(path)} lies in the workspace, where everything in the sandbox reads it`, moveIt);
  }
}

const moveIt = 'Move it to a folder that is no workspace, such as ~/.config/casemate, and name it there.';

const rewriteMs = 50;

/** A file that is written anew in its place is empty for a moment: that is no value, and no reason to refuse an exchange. */
async function readSettled(path: string, access: SourceAccess): Promise<string> {
  const read = (): Promise<string> => (access.readFile ?? readPrivateFile)(path, { uid: access.uid, maxBytes: maxValueBytes });
  const content = await read();
  if (content !== '') {
    return content;
  }
  await setTimeout(rewriteMs);
  return await read();
}

async function fromSecretFile(source: PlainSource & { kind: 'secret' }, access: SourceAccess): Promise<Reading | undefined> {
  await refuseInside(source.path, access);
  const found = await (access.readSecretFile ?? readSecretFile)(source.path, { uid: access.uid });
  return found && text(source, withoutLastLineFeed(found.content), found.stamp);
}
