import { join } from 'node:path';

import type { BuildDeps } from '../build-facts.ts';
import type { RecipeTarget } from '../recipes/recipes.ts';
import type { ImageTools } from '../tools/image-tools.ts';
import { aptSession, type AptSession } from './apt-session.ts';
import { refreshLists } from './debian.ts';

/** apt of this host for one release of Debian, with the lists as they are now. */
export interface FreshApt {
  readonly deps: BuildDeps;
  readonly tools: ImageTools;
  readonly suite: string;
}

export async function freshApt({ deps, tools, suite }: FreshApt): Promise<AptSession> {
  const folder = join(deps.paths.cache, 'apt', suite);
  const session = await aptSession({
    suite,
    architecture: architectureOf(deps.target),
    folder,
    tools,
    etcApt: deps.etcApt,
    signal: deps.signal,
  });
  await refreshLists(session, join(folder, 'state/lists'));
  return session;
}

/** As Debian names it. */
export function architectureOf(target: RecipeTarget): string {
  return target.platform === 'x64' ? 'amd64' : 'arm64';
}
