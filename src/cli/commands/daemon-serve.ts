import { serve } from '../../daemon/serve.ts';
import type { RunCommand } from '../command.ts';
import { optionalPositionals, parseOptions, switchOption, textOption } from '../reading/parse-options.ts';

/** The daemon's own process, started by the first command that needs it. Open connections do not delay its end. */
export const run: RunCommand = async (args, { env, paths, uid, stdin }, row) => {
  const parsed = parseOptions(row, args);
  optionalPositionals(parsed, []);
  try {
    process.exit(
      await serve({
        env,
        paths,
        uid,
        resolver: textOption(parsed, 'resolver'),
        isLab: switchOption(parsed, 'lab-hosts'),
        whileOpen: switchOption(parsed, 'while-open') ? stdin : undefined,
      }),
    );
  } finally {
    // After a failed start: what went wrong is printed first, then nothing that was left open keeps the process.
    setTimeout(() => process.exit(), 1000).unref();
  }
};
