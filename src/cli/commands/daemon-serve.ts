import { serve } from '../../daemon/serve.ts';
import type { RunCommand } from '../command.ts';

/** The daemon's own process; started by the first command that needs it. */
export const run: RunCommand = async (_args, context) => await serve({ env: context.env, paths: context.paths, uid: context.uid });
