/** Anthropic's sandbox runtime from npm, installed into a folder of the measurement where npm may. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { attempt } from './measure.ts';

export const srtPackage = '@anthropic-ai/sandbox-runtime';

export interface Srt {
  /** Root of the package. */
  readonly root: string;
  readonly version: string;
  /** Its command line, to be started with Node. */
  readonly cli: string;
}

/** `undefined` where it cannot be installed. `folder` must not exist. */
export async function installSrt(folder: string): Promise<Srt | undefined> {
  await mkdir(folder);
  await writeFile(join(folder, 'package.json'), '{}\n');
  const flags = ['--no-audit', '--no-fund', '--ignore-scripts'];
  const installed = await attempt('npm', ['install', ...flags, srtPackage], { cwd: folder });
  if (installed?.exitCode !== 0) {
    return undefined;
  }
  const root = join(folder, 'node_modules', srtPackage);
  const { version, bin } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
    readonly version: string;
    readonly bin: Readonly<Record<string, string>>;
  };
  return { root, version, cli: join(root, bin['srt'] ?? 'dist/cli.js') };
}
