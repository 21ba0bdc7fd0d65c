import type { Clock } from '../system/clock.ts';
import type { Environment } from '../system/environment.ts';
import type { Paths } from '../system/paths.ts';
import type { Progress } from './image.ts';
import type { RecipeTarget } from './recipes/recipes.ts';
import type { LocalImageStore } from './stored/store.ts';
import type { ImageTools } from './tools/image-tools.ts';
import type { RunInside } from './tools/run-confined.ts';

/** What builds are given: by whoever asks for one (`BuildDeps`), and from its beginning on (`Build`). */
export interface BuildDeps {
  readonly paths: Pick<Paths, 'images' | 'cache'>;
  readonly env: Environment;
  readonly uid: number;
  readonly target: RecipeTarget;
  readonly progress: Progress;
  readonly clock?: Clock | undefined;
  readonly runInside?: RunInside | undefined;
  /** the host's apt configuration, `/etc/apt` */
  readonly etcApt?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface Build {
  readonly deps: BuildDeps;
  readonly tools: ImageTools;
  readonly store: LocalImageStore;
  readonly noCache: boolean;
}
