/** The built program in `dist/`, made again when anything it is made of has changed. */
import { createHash } from 'node:crypto';
import { accessSync, constants, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

import { Failure } from './failure.mjs';
import { nodeProgram, root } from './places.mjs';
import { runQuiet } from './processes.mjs';
import { step, stepFault } from './progress.mjs';

/** File of a build that holds the digest of its inputs; written last. */
export const stampName = '.inputs';

export async function buildBundle() {
  if (readStamp() === inputsDigest()) {
    return;
  }
  if (!canWrite(root)) {
    throw new Failure(`${root} cannot be written, and what is built there is of other sources`, {
      hint: 'Run it as the owner of that folder, or in a clone of your own.',
    });
  }
  await step('Building casemate', async (say) => {
    const result = await runQuiet(nodeProgram(), [join(root, 'scripts', 'build.mjs')], { onLine: say });
    if (result.code !== 0) {
      throw stepFault('the build', result);
    }
  });
}

function canWrite(folder) {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** SHA-256 over names and contents of all that the build reads. */
export function inputsDigest(source = join(root, 'src')) {
  const hash = createHash('sha256');
  const sources = readdirSync(source, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .toSorted();
  for (const file of [
    ...sources,
    ...[
      'package.json',
      'package-lock.json',
      'LICENSE',
      'scripts/build.mjs',
      'scripts/built-ins.mjs',
      'scripts/launcher.mjs',
      'scripts/launcher.sh',
      'scripts/notices.mjs',
    ].map((name) => join(root, name)),
  ]) {
    hash
      .update(`${file.slice(root.length)}\0`)
      .update(readFileSync(file))
      .update('\0');
  }
  return hash.digest('hex');
}

function readStamp() {
  try {
    return readFileSync(join(root, 'dist', stampName), 'utf8').trim();
  } catch {
    return undefined;
  }
}
