import { serve } from '../../daemon/serve.ts';
import type { RunCommand } from '../command.ts';

/** The daemon's own process; started by the first command that needs it. Its end is not held up by open connections. */
export const run: RunCommand = async (_args, { env, paths, uid }) => {
  try {
    process.exit(await serve({ env, paths, uid }));
  } finally {
    // After a failed start: what went wrong is printed first, then nothing that was left open keeps the process.
    setTimeout(() => process.exit(), 1000).unref();
  }
};
