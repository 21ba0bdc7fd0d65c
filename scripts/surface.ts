/**
 * Measures what of the kernel a sandbox reaches on this machine, for each runtime, and writes `docs/surface.json` and the page
 * that is made from it: `npm run surface`, for each release.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { pathsFrom } from '../src/system/paths.ts';
import { processEnvironment } from '../src/system/environment.ts';
import { version } from '../src/system/version.ts';
import { writeDocs } from './docs.ts';
import type { SurfaceReport } from '../src/cli/printing/surface-report.ts';

const root = join(import.meta.dirname, '..');
const home = mkdtempSync(join(tmpdir(), 'casemate-surface-'));
const env = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  HOME: join(home, 'user'),
  CASEMATE_HOME: join(home, 'casemate'),
  CASEMATE_IMAGES: pathsFrom(processEnvironment, process.geteuid?.() ?? 0).images,
};
const project = join(home, 'project');

function casemate(...args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, 'src/cli/main.ts'), ...args], {
    cwd: project,
    env,
    encoding: 'utf8',
  });
  if (status !== 0) {
    throw new Error(`casemate ${args.join(' ')} ended with ${status}: ${stderr}`);
  }
  return stdout;
}

try {
  for (const folder of [env.CASEMATE_HOME, env.HOME, project]) {
    mkdirSync(folder, { mode: 0o700 });
  }
  // oxlint-disable-next-line no-unsafe-type-assertion -- what this very program prints
  const { published: _published, ...measured } = JSON.parse(casemate('prove', '--surface', '--json')) as SurfaceReport;
  const report = { casemate: version, date: new Date().toISOString().slice(0, 10), ...measured };
  writeFileSync(join(root, 'docs/surface.json'), `${JSON.stringify(report, undefined, 2)}\n`);
  writeDocs();
} finally {
  casemate('daemon', 'stop', '--force');
  rmSync(home, { recursive: true, force: true });
}
