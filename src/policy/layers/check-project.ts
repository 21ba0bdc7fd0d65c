import { isAbsolute, normalize } from 'node:path';

import { visible } from '../../base/text.ts';
import { faultAt, originOf, type PolicyLayer, type ValuePath } from '../written/policy-layer.ts';
import { isRecipePath } from './resolve-scalars.ts';
import type { WrittenPolicy } from '../written/schema.ts';

/** What a project file must never say, because it comes with the code and so from whoever wrote the code. */

const neverThere = [
  {
    key: 'waive',
    what: 'waive a protection layer',
    hint: 'Waive it in your own policy file, or with --waive.',
  },
  {
    key: 'credentials',
    what: 'define credentials',
    hint: 'Define them in your own policy file; a project names them under "network".',
  },
  { key: 'share', what: 'say what all sandboxes together may take', hint: 'Write "share" in your own policy file.' },
  { key: 'prices', what: 'price models', hint: 'Write "prices" in your own policy file.' },
] as const;

type Refuse = (path: ValuePath, what: string, hint: string) => never;

/** Throws `POLICY_INVALID` with place and reason. */
export function checkProject(layer: PolicyLayer): void {
  const { network, uploads } = layer.written;
  const refuse: Refuse = (path, what, hint) => {
    throw faultAt('POLICY_INVALID', originOf(layer, path), `a project file must not ${what}`, { hint });
  };
  for (const { key, what, hint } of neverThere) {
    if (layer.written[key] !== undefined) {
      refuse([key], what, hint);
    }
  }
  const loosened = looserUploads(uploads);
  if (loosened !== undefined) {
    refuse(['uploads', loosened], 'let known secrets out', `Write "uploads.${loosened}" in your own policy file.`);
  }
  const redirected = network?.findIndex((rule) => rule.upstream !== undefined) ?? -1;
  if (redirected >= 0) {
    refuse(
      ['network', redirected, 'upstream'],
      'send a host elsewhere',
      'Write the rule with "upstream" in your own policy file.',
    );
  }
  checkPaths(layer, refuse);
}

function checkPaths({ written: { workspace, image } }: PolicyLayer, refuse: Refuse): void {
  if (workspace?.path !== undefined && leaves(workspace.path)) {
    refuse(
      ['workspace', 'path'],
      `name a workspace outside its folder: ${visible(workspace.path)}`,
      'Use a relative path without "..", or --workspace.',
    );
  }
  if (image !== undefined && isRecipePath(image) && leaves(image)) {
    refuse(['image'], `name a recipe outside its folder: ${visible(image)}`, 'Use a relative path without "..", or --image.');
  }
}

function looserUploads(uploads: WrittenPolicy['uploads']): 'secrets' | 'envFiles' | 'except' | undefined {
  const { secrets, envFiles, except } = uploads ?? {};
  if (secrets !== undefined && secrets !== 'refuse') {
    return 'secrets';
  }
  return envFiles === false ? 'envFiles' : except === undefined ? undefined : 'except';
}

/** Links are for the caller to follow and check again: this knows no file system. */
function leaves(path: string): boolean {
  return isAbsolute(path) || path.startsWith('~') || normalize(path).split('/')[0] === '..';
}
