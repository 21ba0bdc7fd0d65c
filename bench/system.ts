/** A sandbox from the command line against what else starts one on this host, and the memory of the daemon. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { importImage } from '../scripts/rootfs-image.ts';
import { compare } from './compare.ts';
import { benchDocker } from './docker.ts';
import { attempt, hostEnv, type Contender } from './measure.ts';
import { bareBundle, withBareContainer } from './runc-bundle.ts';
import { blocked, type BenchResult } from './result.ts';
import { launcher, program, withSite, type Site } from './site.ts';
import { installSrt } from './srt.ts';

const idleSandboxes = 5;

export async function benchSystem(): Promise<readonly BenchResult[]> {
  return await withSite(async (site) => {
    const rootfs = await baseImage(site);
    return rootfs === undefined
      ? [blocked('run/casemate run -- true', 'ms', 'there is no image "base"; run: casemate setup')]
      : [...(await benchRun(site, rootfs)), ...(await benchExec(site, rootfs)), ...(await benchMemory(site))];
  });
}

function casemate({ env, project }: Site, name: string, args: readonly string[]): Contender {
  return { name, file: launcher, args, env, cwd: project };
}

/** Root file system of the image `base`; `undefined` where it was never built. */
async function baseImage(site: Site): Promise<string | undefined> {
  const shown = await attempt(process.execPath, [program, 'image', 'show', 'base', '--json'], { env: site.env });
  return shown?.exitCode === 0 ? /"rootfs":\s*"([^"]+)"/.exec(shown.stdout.toString('utf8'))?.[1] : undefined;
}

async function benchRun(site: Site, rootfs: string): Promise<readonly BenchResult[]> {
  const ours = casemate(site, 'run/casemate run -- true', ['run', ...site.waive, '--', 'true']);
  const bundle = await bareBundle(join(site.folder, 'bundle'), { rootfs, command: ['true'] });
  const bwrap = [
    '--ro-bind',
    rootfs,
    '/',
    '--proc',
    '/proc',
    '--dev',
    '/dev',
    '--tmpfs',
    '/tmp',
    '--unshare-all',
    '--die-with-parent',
    'true',
  ];
  const settings = join(site.folder, 'srt.json');
  await writeFile(
    settings,
    JSON.stringify({
      network: { allowedDomains: [], deniedDomains: [] },
      filesystem: { denyRead: [], allowWrite: ['.'], denyWrite: [] },
    }),
  );
  const srt = await installSrt(join(site.folder, 'srt'));
  const image = await dockerImage(site, rootfs);
  const others: readonly Contender[] = [
    { name: 'run/runc run true', file: 'runc', args: ['run', '--bundle', bundle, 'casemate-bench-run'] },
    { name: 'run/bwrap true', file: 'bwrap', args: bwrap },
    { name: 'run/docker run --rm true', file: 'docker', args: ['run', '--rm', '--network', 'none', image.name, 'true'] },
    {
      name: 'run/srt true',
      file: process.execPath,
      args: [srt?.cli ?? '', '--settings', settings, '-c', 'true'],
      cwd: site.project,
    },
    { name: 'run/node -e 0', file: process.execPath, args: ['-e', '0'] },
  ];
  const aims = { 'run/docker run --rm true': '< 0.5', 'run/srt true': '< 0.5' };
  try {
    return [...(await compare(ours, others, aims)), ...(await benchDocker(site, image.name))];
  } finally {
    await image.remove();
  }
}

async function benchExec(site: Site, rootfs: string): Promise<readonly BenchResult[]> {
  const name = 'bench-exec';
  const ours = casemate(site, 'exec/casemate exec true', ['exec', name, '--', 'true']);
  await attempt(process.execPath, [program, 'create', name, ...site.waive], { env: site.env, cwd: site.project });
  await attempt(process.execPath, [program, 'start', name], { env: site.env, cwd: site.project });
  try {
    return await withBareContainer(join(site.folder, 'exec-bundle'), rootfs, (id) =>
      compare(ours, [{ name: 'exec/runc exec true', file: 'runc', args: ['exec', id, 'true'] }], {}),
    );
  } finally {
    await attempt(process.execPath, [program, 'destroy', name, '--confirm', name], { env: site.env, cwd: site.project });
  }
}

async function benchMemory(site: Site): Promise<readonly BenchResult[]> {
  const rest = await daemonMemoryKb(site);
  if (rest === undefined) {
    return [blocked('memory/daemon at rest', 'KB', 'no daemon answered')];
  }
  const names = Array.from({ length: idleSandboxes }, (_, index) => `bench-idle-${index}`);
  const growth: number[] = [];
  let before = rest;
  try {
    for (const name of names) {
      await attempt(process.execPath, [program, 'create', name, ...site.waive], { env: site.env, cwd: site.project });
      await attempt(process.execPath, [program, 'start', name], { env: site.env, cwd: site.project });
      const now = (await daemonMemoryKb(site)) ?? before;
      growth.push(now - before);
      before = now;
    }
  } finally {
    for (const name of names) {
      await attempt(process.execPath, [program, 'destroy', name, '--confirm', name], { env: site.env, cwd: site.project });
    }
  }
  return [
    { name: 'memory/daemon at rest', unit: 'KB', samples: [rest], note: 'resident, after the runs above' },
    {
      name: 'memory/one more idle sandbox',
      unit: 'KB',
      samples: growth,
      aim: '< 1024 KB',
      note: 'growth of the daemon; no process of ours is inside',
    },
  ];
}

/** Resident memory, `VmRSS` of proc(5). */
async function daemonMemoryKb(site: Site): Promise<number | undefined> {
  const status = await attempt(process.execPath, [program, 'daemon', 'status', '--json'], { env: site.env });
  const pid = /"pid":\s*(\d+)/.exec(status?.stdout.toString('utf8') ?? '')?.[1];
  if (pid === undefined) {
    return undefined;
  }
  const line = /^VmRSS:\s+(\d+) kB$/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1];
  return line === undefined ? undefined : Number(line);
}

/** The same root file system as an image of Docker; without an engine the name leads nowhere and the contender says why. */
async function dockerImage(site: Site, rootfs: string): Promise<{ readonly name: string; readonly remove: () => Promise<void> }> {
  const name = 'casemate-bench:local';
  const remove = await importImage({ engine: ['docker'], rootfs, name, folder: site.folder, env: hostEnv }).catch(
    () => undefined,
  );
  return { name, remove: remove ?? (async () => undefined) };
}
