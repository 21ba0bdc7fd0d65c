/** The part of the set-up that installs programs, run on a machine that has only what the test gives it. */
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { run } from '../../src/system/process.ts';

const scripts = join(import.meta.dirname, '..', '..', 'scripts', 'setup');

/** With `folder` and the system's sbin folders as its whole path: the exit code and the lines of standard error. */
export async function installProgramsWith(
  folder: string,
): Promise<{ readonly exitCode: number; readonly lines: readonly string[] }> {
  const code = `import { main } from '${scripts}/failure.mjs'; import { installPrograms } from '${scripts}/programs.mjs'; await main(async () => { await installPrograms(); return 0; });`;
  const { exitCode, stderr } = await run(process.execPath, ['--input-type=module', '-e', code], {
    env: { PATH: folder },
    timeoutMs: 30_000,
  });
  return { exitCode, lines: stderr.toString('utf8').trimEnd().split('\n') };
}

/** A small shell program in `folder`. */
export async function program(folder: string, name: string, text: string): Promise<void> {
  const path = join(folder, name);
  await writeFile(path, `#!/bin/sh\n${text}\n`);
  await chmod(path, 0o755);
}
