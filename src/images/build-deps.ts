/** What a build on this host needs, put together for commands. */
import type { Environment } from '../system/environment.ts';
import type { Paths } from '../system/paths.ts';
import type { BuildDeps } from './build-facts.ts';
import { hostTarget } from './recipes/find-recipe.ts';
import type { Progress } from './image.ts';

export interface HostDeps {
  readonly paths: Pick<Paths, 'images' | 'cache'>;
  readonly env: Environment;
  readonly uid: number;
  readonly progress: Progress;
  readonly signal?: AbortSignal | undefined;
}

/** What a build on this host, for this host, needs. Throws `IMAGE_BUILD_FAILED` on a processor we have no recipes for. */
export function buildDeps(host: HostDeps): BuildDeps {
  return { ...host, target: hostTarget() };
}
