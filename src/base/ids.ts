import { randomBytes } from 'node:crypto';

import { CasemateError } from './errors.ts';
import { visible } from './text.ts';

/**
 * Identifiers of sandboxes. We choose the id, and it is unique for ever; the user chooses the name, and it is unique among live
 * sandboxes.
 */

declare const idBrand: unique symbol;
declare const nameBrand: unique symbol;

export type SandboxId = string & { readonly [idBrand]: true };
export type SandboxName = string & { readonly [nameBrand]: true };

const idPattern = /^cm-[0-9a-f]{16}$/;
const namePattern = /^[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?$/;

export function newSandboxId(random: (size: number) => Buffer = randomBytes): SandboxId {
  return parseSandboxId(`cm-${random(8).toString('hex')}`);
}

export function isSandboxId(text: string): text is SandboxId {
  return idPattern.test(text);
}

export function parseSandboxId(text: string): SandboxId {
  if (!isSandboxId(text)) {
    throw new CasemateError('NAME_INVALID', `"${visible(text)}" is not a sandbox id`);
  }
  return text;
}

function isSandboxName(text: string): text is SandboxName {
  return namePattern.test(text) && !isSandboxId(text);
}

/** Throws `NAME_INVALID`: 1 to 40 lower-case letters, digits and hyphens, no hyphen at either end. */
export function parseSandboxName(text: string): SandboxName {
  if (!isSandboxName(text)) {
    throw new CasemateError('NAME_INVALID', `"${visible(text)}" is not a sandbox name`, {
      hint: 'Use 1 to 40 lower-case letters, digits and hyphens, with no hyphen at either end.',
    });
  }
  return text;
}
