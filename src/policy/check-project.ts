import { isAbsolute, normalize } from 'node:path';

import { visible } from '../base/text.ts';
import { faultAt, originOf, type PolicyLayer, type ValuePath } from './policy-layer.ts';
import { isRecipePath } from './resolve-scalars.ts';

/** What a project file must never say: it comes with the code, from whoever wrote that. */

/** Throws `POLICY_INVALID` with place and reason. */
export function checkProject(layer: PolicyLayer): void {
  const { waive, credentials, network, workspace, image } = layer.written;
  const refuse = (path: ValuePath, what: string, hint: string): never => {
    throw faultAt('POLICY_INVALID', originOf(layer, path), `a project file must not ${what}`, { hint });
  };
  if (waive !== undefined) {
    refuse(['waive'], 'waive a protection layer', 'Waive it in your own policy file, or with --waive.');
  }
  if (credentials !== undefined) {
    refuse(['credentials'], 'define credentials', 'Define them in your own policy file; a project names them under "network".');
  }
  const redirected = network?.findIndex((rule) => rule.upstream !== undefined) ?? -1;
  if (redirected >= 0) {
    refuse(
      ['network', redirected, 'upstream'],
      'send a host elsewhere',
      'Write the rule with "upstream" in your own policy file.',
    );
  }
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

/** Links are for the caller to follow and check again: this knows no file system. */
function leaves(path: string): boolean {
  return isAbsolute(path) || path.startsWith('~') || normalize(path).split('/')[0] === '..';
}
