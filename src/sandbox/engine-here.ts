import { userInfo } from 'node:os';
import { join } from 'node:path';

import type { Engine } from '../engines/engine.ts';
import { engines } from '../engines/registry.ts';
import type { Environment } from '../system/environment.ts';
import type { Paths } from '../system/paths.ts';

/** The engine of this machine and user. */
export async function engineHere({ paths, env }: { readonly paths: Paths; readonly env: Environment }): Promise<Engine> {
  const { uid, gid, username } = userInfo();
  return await engines.oci({
    folders: { run: join(paths.runtime, 'engine'), state: join(paths.state, 'engine') },
    env,
    user: { uid, gid, name: username },
  });
}
