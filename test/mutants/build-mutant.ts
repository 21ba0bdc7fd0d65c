import { cp, readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';

import { run } from '../../src/system/process.ts';
import type { Edit, Mutant } from './mutant.ts';

/** A build of the product with one guard off; or, without a mutant, of the product as it is. */

const root = resolve(import.meta.dirname, '../..');

/** Ignored by git, and below the checkout: a build finds the packages there. */
export const mutantFolder = join(root, '.cache/mutants');

/** The program of the build, made anew from a patched copy of the source. */
export async function buildMutant(mutant: Mutant | undefined, folder = mutantFolder): Promise<string> {
  const place = join(folder, mutant?.name ?? 'none');
  const source = join(place, 'src');
  await rm(place, { recursive: true, force: true });
  await cp(join(root, 'src'), source, { recursive: true });
  for (const edit of mutant === undefined ? [] : [mutant, ...(mutant.also ?? [])]) {
    await apply(edit, place);
  }
  const args = [join(root, 'scripts/build.mjs'), '--source', source, '--out', join(place, 'dist')];
  const { exitCode, stderr } = await run(process.execPath, args, { env: {}, cwd: root, timeoutMs: 120_000 });
  if (exitCode !== 0) {
    throw new Error(`the mutant ${mutant?.name ?? 'none'} cannot be built: ${stderr.toString('utf8').slice(0, 2000)}`);
  }
  return join(place, 'dist/casemate.js');
}

async function apply({ file, find, replace }: Edit, place: string): Promise<void> {
  const path = join(place, file);
  const parts = (await readFile(path, 'utf8')).split(find);
  if (parts.length !== 2) {
    throw new Error(`${file} holds "${find}" ${parts.length - 1} times; it must be once`);
  }
  await writeFile(path, parts.join(replace));
}
