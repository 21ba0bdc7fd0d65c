import { readFile } from 'node:fs/promises';

import { dataFile } from '../../system/data-file.ts';

/** The parts of `stage.pl` in the order in which it loads them: each uses constants of those before it. */
export const stageParts = [
  'calls',
  'user-namespace',
  'mounts',
  'home',
  'groups',
  'sandbox-root',
  'workspace',
  'runtime',
  'other-engine',
  'layers',
] as const;

/** `stage.pl` with its parts as one text, for a container that sees no file of this host. */
export async function stageText(): Promise<string> {
  const [main = '', ...parts] = await Promise.all(
    ['stage', ...stageParts.map((part) => `stage/${part}`)].map((name) => readFile(dataFile(`engines/oci/${name}.pl`), 'utf8')),
  );
  // A block keeps the variables of a part to itself, as its file does elsewhere.
  return [...parts.map((part) => `{\n${part}}\n`), main].join('');
}
