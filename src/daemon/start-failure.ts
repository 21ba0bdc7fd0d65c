import { existsSync, readFileSync } from 'node:fs';

import type { Invocation } from '../engines/engine.ts';

/**
 * The exit code of a command that the runtime could not start, as shells have it (POSIX 2.8.2), or our own for any other
 * failure.
 */
export function startFailure({ errorLog }: Pick<Invocation, 'errorLog'>, exitCode: number): number | undefined {
  if (exitCode === 0 || !existsSync(errorLog)) {
    return undefined;
  }
  const text = readFileSync(errorLog, 'utf8');
  if (!text.includes('exec failed') && !text.includes('executing processes')) {
    return undefined;
  }
  if (/executable file not found|no such file or directory|not found in \$PATH/.test(text)) {
    return 127;
  }
  return /permission denied|exec format error|is a directory/.test(text) ? 126 : 125;
}
