/**
 * What the contenders need, prepared once each: images made from the root file system of our own, sandbox-runtime from npm, a
 * home of Casemate, an ordinary user. What cannot be prepared says why.
 */
import { existsSync } from 'node:fs';
import { chmod, chown, mkdir, mkdtemp, readFile, rm, writeFile, readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { cleanupStack, type Cleanup } from '../../src/base/cleanup.ts';
import type { Identity } from '../../src/proof/foreign/run-foreign.ts';
import { baseEnvironment, processEnvironment } from '../../src/system/environment.ts';
import { pathsFrom } from '../../src/system/paths.ts';
import { run } from '../../src/system/process.ts';
import { version } from '../../src/system/version.ts';
import { importImage } from '../rootfs-image.ts';
import { ordinaryUser } from '../setup/ordinary-user.mjs';
import type { Contender } from './contenders.ts';

/** Of sandbox-runtime: a comparison names what it compared. */
const srtVersion = '0.0.83';
const image = 'casemate-compare:local';
const root = join(import.meta.dirname, '../..');
const program = join(root, 'src/cli/main.ts');

export interface Ready {
  /** what the places beside those of `prove --command` stand for */
  readonly places: Readonly<Record<string, readonly string[]>>;
  readonly version: string;
}

export interface Stage {
  /** `undefined`: the caller is no root, and runs everything itself */
  readonly user: (Identity & { readonly home: string }) | undefined;
  /** environment of whoever starts a sandbox, beside the home */
  readonly env: Readonly<Record<string, string>>;
  /** Throws where it cannot be prepared here. */
  readonly prepare: (needs: Contender['needs']) => Promise<Ready>;
  readonly close: () => Promise<void>;
}

/** What a preparation works with. */
interface Tools {
  readonly user: Stage['user'];
  /** made for this run, and gone with it */
  readonly folder: string;
  readonly env: Readonly<Record<string, string>>;
  readonly cleanup: Cleanup;
  /** What a program says on standard output; throws where it fails. */
  readonly says: (file: string, args: readonly string[], env?: Readonly<Record<string, string>>) => Promise<string>;
}

export async function openStage(): Promise<Stage> {
  const cleanup = cleanupStack();
  const user = process.getuid?.() === 0 ? await ordinaryUser() : undefined;
  // Short, because podman wants its own folder to be.
  const folder = await mkdtemp(join(user?.home ?? tmpdir(), 'cmp-'));
  cleanup.add('remove the folder', () => rm(folder, { recursive: true, force: true }));
  await chmod(folder, 0o755);
  const env = environment(folder);
  const says: Tools['says'] = async (file, args, own = env) => {
    const { exitCode, stdout, stderr } = await run(file, args, { env: own, cwd: folder, timeoutMs: 120_000 });
    if (exitCode !== 0) {
      throw new Error(`${file} ended with ${exitCode}: ${firstLine(stderr.toString('utf8')).slice(0, 200)}`);
    }
    return stdout.toString('utf8').trim();
  };
  const tools = { user, folder, env, cleanup, says };
  const prepared = new Map<string, Promise<Ready>>();
  return {
    user,
    env,
    prepare(needs) {
      const found = prepared.get(needs) ?? preparations[needs](tools);
      prepared.set(needs, found);
      return found;
    },
    close: () => cleanup.run(),
  };
}

function environment(folder: string): Readonly<Record<string, string>> {
  const own = baseEnvironment(processEnvironment);
  return {
    ...own,
    PATH: `${dirname(process.execPath)}:${own['PATH'] ?? ''}`,
    CASEMATE_HOME: join(folder, 'casemate'),
    CASEMATE_IMAGES: pathsFrom(processEnvironment, process.geteuid?.() ?? 0).images,
  };
}

/** As an ordinary user it leaves a process that holds its user namespace. Nobody else's has the folder of this run in its environment. */
async function endPodman(folder: string): Promise<void> {
  const own = `CASEMATE_HOME=${join(folder, 'casemate')}`;
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const [name, variables] = await Promise.all(
      ['comm', 'environ'].map((file) => readFile(`/proc/${pid}/${file}`, 'latin1').catch(() => '')),
    );
    if (name?.startsWith('podman') === true && variables?.split('\0').includes(own) === true) {
      process.kill(Number(pid), 'SIGKILL');
    }
  }
}

const preparations: Readonly<Record<Contender['needs'], (tools: Tools) => Promise<Ready>>> = {
  async casemate({ folder, cleanup, says }) {
    await mkdir(join(folder, 'casemate'), { mode: 0o700 });
    cleanup.add('stop the daemon', async () => void (await says(process.execPath, [program, 'daemon', 'stop', '--force'])));
    const runc = firstLine(await says('runc', ['--version']));
    return { places: { CASEMATE: [process.execPath, program] }, version: `casemate ${version}, ${runc}` };
  },
  async docker({ folder, env, cleanup, says }) {
    const server = await says('docker', ['version', '--format', '{{.Server.Version}}']);
    const runc = firstLine(await says('runc', ['--version']));
    const remove = await importImage({ engine: ['docker'], rootfs: await baseRootfs(says), name: image, folder, env });
    cleanup.add('remove the image', remove);
    return { places: { IMAGE: [image] }, version: `docker ${server}, ${runc}` };
  },
  async podman({ user, folder, env, cleanup, says }) {
    const client = await says('podman', ['--version']);
    const store = join(folder, 'p');
    await mkdir(store, { mode: 0o700 });
    await (user === undefined ? undefined : chown(store, user.uid, user.gid));
    // What it leaves belongs to ids that node's own removal may not meet as an ordinary user.
    cleanup.add('remove the store', async () => void (await says('rm', ['-rf', store])));
    cleanup.add('end what podman left', () => endPodman(folder));
    await importImage({
      engine: ['podman', '--root', `${store}/store`, '--runroot', `${store}/run`, '--storage-driver', 'overlay'],
      rootfs: await baseRootfs(says),
      name: image,
      folder,
      env: { ...env, HOME: user?.home ?? env['HOME'] ?? '' },
      ...(user === undefined ? {} : { uid: user.uid, gid: user.gid }),
    });
    return { places: { IMAGE: [image], STORE: [store] }, version: client };
  },
  async srt({ user, folder, says }) {
    // Not in `.cache`: made by root, it would keep the user out of that.
    const prefix = join(user?.home ?? folder, '.casemate-compare', `srt-${srtVersion}`);
    const modules = join(prefix, 'node_modules');
    if ((await versionIn(modules)) !== srtVersion) {
      // What an installation that was cut off has left is no start for another one.
      await rm(prefix, { recursive: true, force: true });
      await mkdir(prefix, { recursive: true });
      const args = ['install', '--prefix', prefix, '--no-audit', '--no-fund', `@anthropic-ai/sandbox-runtime@${srtVersion}`];
      await says('npm', args, wholeEnvironment());
    }
    const settings = join(folder, 'srt.json');
    const filesystem = { denyRead: [], allowWrite: ['.', '/tmp'], denyWrite: [] };
    await writeFile(settings, JSON.stringify({ network: { allowedDomains: [], deniedDomains: [] }, filesystem }));
    const own = await versionIn(modules);
    const [bwrap, socat, rg] = await Promise.all([
      says('bwrap', ['--version']),
      says('socat', ['-V']),
      says('rg', ['--version']),
    ]);
    const socatVersion = /socat version \S+/.exec(socat)?.[0] ?? 'socat';
    return {
      places: { SRT: [join(modules, '.bin/srt')], SETTINGS: [settings] },
      version: [`sandbox-runtime ${own}`, bwrap, socatVersion, firstLine(rg)].join(', '),
    };
  },
  bwrap: async ({ says }) => ({ places: {}, version: await says('bwrap', ['--version']) }),
};

/** Of sandbox-runtime, where it is whole: npm links its program last. */
async function versionIn(modules: string): Promise<string> {
  const about = await readFile(join(modules, '@anthropic-ai/sandbox-runtime/package.json'), 'utf8').catch(() => '');
  return existsSync(join(modules, '.bin/srt')) ? (/"version":\s*"([^"]+)"/.exec(about)?.[1] ?? '') : '';
}

async function baseRootfs(says: Tools['says']): Promise<string> {
  const shown = await says(process.execPath, [program, 'image', 'show', 'base', '--json']);
  return /"rootfs":\s*"([^"]+)"/.exec(shown)?.[1] ?? '';
}

/** For npm, which has its settings there, too. */
function wholeEnvironment(): Readonly<Record<string, string>> {
  return Object.fromEntries(processEnvironment.names().map((name) => [name, processEnvironment.get(name) ?? '']));
}

function firstLine(text: string): string {
  return text.trim().split('\n')[0] ?? '';
}
