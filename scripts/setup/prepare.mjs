/** All that stands between a fresh machine and a program that runs. Every part does nothing where it is done. */
import { buildBundle } from './bundle.mjs';
import { Failure } from './failure.mjs';
import { installPackages } from './packages.mjs';
import { bundle, nodeProgram } from './places.mjs';
import { runOpen } from './processes.mjs';
import { installPrograms } from './programs.mjs';
import { inTurn } from './turn.mjs';

/** Debian packages, Node packages, build, images. Throws `Failure` with what to do. */
export async function prepare({ images, forTests = false }) {
  if (process.platform !== 'linux') {
    throw new Failure(`casemate runs on Linux; this is ${process.platform}`);
  }
  await inTurn(async () => {
    // First, because it may end in a line that says what to install: nobody waits for npm to read that.
    await installPrograms({ forTests });
    await installPackages();
    await buildBundle();
    // What the set-up says is progress: standard output belongs to the command that follows.
    const code = await casemate(['setup', ...images.flatMap((image) => ['--image', image])], { stdout: 2 });
    if (code !== 0) {
      throw new Failure('casemate setup did not succeed; see above', { exitCode: code });
    }
  });
}

/** Runs the built program with our streams; resolves to its exit code. */
export function casemate(args, options = {}) {
  return runOpen(nodeProgram(), [bundle, ...args], { cwd: process.cwd(), ...options });
}
