/** Where the built program is measured: its own state and daemon, the images of the user. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { isLayerName } from '../src/base/layers.ts';
import { pathsFrom } from '../src/system/paths.ts';
import { processEnvironment } from '../src/system/environment.ts';
import { attempt, hostEnv } from './measure.ts';

export const program: string = join(import.meta.dirname, '..', 'dist', 'casemate.js');
/** what a user types */
export const launcher: string = join(import.meta.dirname, '..', 'dist', 'casemate');

export interface Site {
  readonly folder: string;
  readonly project: string;
  readonly images: string;
  readonly env: Readonly<Record<string, string>>;
  /** options that accept the layers this host lacks: what is measured here has them not, and the note says so */
  readonly waive: readonly string[];
}

/** Stops the daemon and removes the folder, whatever came of the work. */
export async function withSite<T>(work: (site: Site) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'casemate-bench-'));
  const { images } = pathsFrom(processEnvironment, process.geteuid?.() ?? 0);
  const env = { ...hostEnv, CASEMATE_HOME: join(folder, 'state'), CASEMATE_IMAGES: images };
  try {
    const project = join(folder, 'project');
    await mkdir(project);
    return await work({ folder, project, images, env, waive: await missingLayers(env) });
  } finally {
    await attempt(process.execPath, [program, 'daemon', 'stop', '--force'], { env });
    await rm(folder, { recursive: true, force: true });
  }
}

async function missingLayers(env: Readonly<Record<string, string>>): Promise<readonly string[]> {
  const answer = await attempt(process.execPath, [program, 'doctor', '--layers', '--json'], { env });
  const rows: unknown = JSON.parse(answer?.stdout.toString('utf8') ?? '[]');
  return (Array.isArray(rows) ? rows : [])
    .filter((row: { check: string; verdict: string }) => row.verdict === 'missing' && isLayerName(row.check))
    .flatMap((row: { check: string }) => ['--waive', row.check]);
}
