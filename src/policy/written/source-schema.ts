import { isAbsolute, resolve } from 'node:path';

import { z } from 'zod';

import { plainName } from '../../base/plain-name.ts';
import type { CredentialSource } from '../policy.ts';

/** The form of `source` under a credential and what it means: exactly one key says where on the host the real value is. */

const nonEmpty = z.string().min(1).max(4096);
const bareName = z.string().regex(plainName, 'is not a name; use lower-case letters, digits and hyphens, a letter first');
const variableName = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/, 'is not the name of a variable');
/** Becomes an argument of a program: no dash first, nothing that is not seen. */
const label = z.string().regex(/^(?!-)[\x20-\x7e]{1,256}$/, 'may hold printable ASCII characters only, and begins with no dash');

const single = z.strictObject({
  env: variableName.optional().describe('variable of the host that holds the value'),
  file: nonEmpty
    .optional()
    .describe(
      'file that holds the value, yours and mode 0600 or stricter, not in the workspace; absolute, `~/` or beside this file',
    ),
  command: z
    .array(nonEmpty)
    .min(1)
    .max(64)
    .optional()
    .describe('program and its arguments, no shell; what it prints is the value'),
  stored: bareName.optional().describe('name under which `casemate credentials set` sealed the value'),
  keychain: z
    .strictObject({ service: label.describe('service of the entry'), account: label.describe('account of the entry') })
    .optional()
    .describe("entry of the operating system's keychain, by service and account"),
  secret: nonEmpty.optional().describe('file that Docker or Kubernetes mounted, e.g. `/run/secrets/token`; absolute'),
  aws: z
    .strictObject({
      profile: label.optional().describe('profile of the AWS configuration; default: the one the AWS tools would use'),
    })
    .optional()
    .describe('where the AWS tools find their credentials: `aws: {}`'),
  login: bareName.optional().describe('agent whose login on this host is used'),
});

const onlyOne = { error: 'must have exactly one key: env, file, command, stored, keychain, secret, aws, login or first' };

function hasOneKey(value: Readonly<Record<string, unknown>>): boolean {
  return Object.values(value).filter((one) => one !== undefined).length === 1;
}

export const credentialSource = single
  .extend({
    first: z
      .array(single.refine(hasOneKey, onlyOne).meta({ minProperties: 1, maxProperties: 1 }))
      .min(1)
      .max(8)
      .optional()
      .describe('several sources: the first that has a value'),
  })
  .refine(hasOneKey, onlyOne)
  .meta({ minProperties: 1, maxProperties: 1 });

export type WrittenSource = z.output<typeof credentialSource>;

/** `folder`: of the policy file, for relative paths; `home`: for `~/`. Both absolute. */
export function readWrittenSource(written: WrittenSource, folder: string, home: string): CredentialSource {
  const { env, command, stored, keychain, secret, aws, login, first } = written;
  if (first !== undefined) {
    return { kind: 'first', sources: first.map((one) => readWrittenSource(one, folder, home)) };
  }
  if (env !== undefined) {
    return { kind: 'env', name: env };
  }
  if (command !== undefined) {
    return { kind: 'command', command };
  }
  if (stored !== undefined) {
    return { kind: 'stored', name: stored };
  }
  if (keychain !== undefined) {
    return { kind: 'keychain', ...keychain };
  }
  if (aws !== undefined) {
    return { kind: 'aws', profile: aws.profile };
  }
  if (login !== undefined) {
    return { kind: 'login', agent: login };
  }
  return secret === undefined
    ? { kind: 'file', path: absolute(written.file ?? '', folder, home) }
    : { kind: 'secret', path: absolute(secret, folder, home) };
}

function absolute(path: string, folder: string, home: string): string {
  return path.startsWith('~/') ? resolve(home, path.slice(2)) : isAbsolute(path) ? path : resolve(folder, path);
}

/** The sources that are read, in order, those within `first` included. */
export function plainSources(source: CredentialSource): readonly Exclude<CredentialSource, { readonly kind: 'first' }>[] {
  return source.kind === 'first' ? source.sources.flatMap(plainSources) : [source];
}
