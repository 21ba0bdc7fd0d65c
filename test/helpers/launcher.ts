import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';

import { launcherText } from '../../scripts/launcher.mjs';

const root = resolve(import.meta.dirname, '../..');

/** What a user has on the PATH, before this entry of the program: the built one, or one made in `folder` for the sources. */
export async function launcherOf(entry: string, folder: string): Promise<string> {
  if (entry.endsWith('.js')) {
    return join(dirname(entry), 'casemate');
  }
  return await launcherFor(`import ${JSON.stringify(entry)};\n`, join(folder, 'launched'));
}

/** The launcher with this program beside it. */
export async function launcherFor(program: string, folder: string): Promise<string> {
  const dist = join(folder, 'dist');
  await mkdir(dist, { recursive: true });
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'));
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
  await writeFile(join(dist, 'casemate.js'), program);
  const launcher = join(dist, 'casemate');
  await writeFile(launcher, launcherText(), { mode: 0o755 });
  return launcher;
}
