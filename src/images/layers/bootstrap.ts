import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { writeFlatRepository } from '../packages/flat-repository.ts';
import { agentUser, type Progress } from '../image.ts';
import type { ImageTools } from '../tools/image-tools.ts';
import type { LockedDeb } from '../stored/lock.ts';
import { listEntries } from '../tools/manifest.ts';

/** The Debian layer: exactly the locked packages, one user, and nothing that differs from build to build. */

export interface BootstrapRequest {
  readonly rootfs: string;
  /** folder for what is needed only now */
  readonly scratch: string;
  readonly debs: readonly LockedDeb[];
  readonly debCache: string;
  readonly suite: string;
  readonly architecture: string;
  readonly tools: ImageTools;
  readonly progress: Progress;
}

export async function bootstrapDebian(request: BootstrapRequest): Promise<void> {
  const { rootfs, scratch, debs, suite, architecture, tools, progress } = request;
  const repository = join(scratch, 'repository');
  await writeFlatRepository({ debs, cache: request.debCache, folder: repository, suite, architecture, tools });
  progress(`installing ${debs.length} Debian packages`);
  const names = debs.map((deb) => deb.name).join(',');
  const options = ['--mode=root', '--variant=minbase', `--architectures=${architecture}`, `--include=${names}`];
  // No network in there: all that is needed lies in the folder, and the scripts of packages have nobody to talk to.
  await tools.run(
    'mmdebstrap',
    [...options, ...dpkgRules.map((rule) => `--dpkgopt=${rule}`), suite, rootfs, `deb [trusted=yes] copy:${repository} ./`],
    { isolated: true },
  );
  await removeTraces(rootfs, tools);
  await addUser(rootfs, scratch, tools);
  await removePrivileges(rootfs, tools);
  await ownByImageIds(rootfs, tools);
}

/** Rules of `dpkg(1)`: pages nobody reads in a sandbox are a fifth of the files. Copyright notices stay. */
const dpkgRules = [
  // The build syncs once at its end; until then a crash loses nothing but the build.
  'force-unsafe-io',
  'path-exclude=/usr/share/man/*',
  'path-exclude=/usr/share/info/*',
  'path-exclude=/usr/share/locale/*',
  'path-exclude=/usr/share/doc/*',
  'path-include=/usr/share/doc/*/copyright',
];

/** Paths below the root whose content is removed. */
const emptied = [
  'dev',
  'run',
  'tmp',
  'var/tmp',
  'proc',
  'sys',
  'var/cache/apt',
  'var/cache/ldconfig',
  'var/cache/man',
  'var/lib/apt/lists',
  'etc/apt/sources.list.d',
  'root',
];
/** Files that say when or where the build was, or hold keys. */
const removed = [
  'etc/apt/sources.list',
  'etc/machine-id',
  'var/lib/dbus/machine-id',
  'etc/hostname',
  'etc/resolv.conf',
  'etc/hosts',
  'etc/.pwd.lock',
  'etc/passwd-',
  'etc/group-',
  'etc/shadow-',
  'etc/gshadow-',
  'etc/subuid-',
  'etc/subgid-',
  'etc/subuid',
  'etc/subgid',
  'etc/dpkg/dpkg.cfg.d/99mmdebstrap',
  'var/lib/dpkg/status-old',
  'var/lib/dpkg/diversions-old',
  'var/lib/dpkg/statoverride-old',
  'var/lib/dpkg/available-old',
  'var/cache/debconf/config.dat-old',
  'var/cache/debconf/templates.dat-old',
];

async function removeTraces(rootfs: string, tools: ImageTools): Promise<void> {
  for (const folder of emptied) {
    // oxlint-disable-next-line no-await-in-loop -- in order
    await tools.run('find', [join(rootfs, folder), '-xdev', '-mindepth', '1', '-delete'], { anyExit: true });
  }
  await tools.run('rm', ['-f', '--', ...removed.map((file) => join(rootfs, file))]);
  await tools.run('find', [join(rootfs, 'var/log'), '-xdev', '-type', 'f', '-delete']);
  await tools.run('find', [
    rootfs,
    '-xdev',
    '-depth',
    '-type',
    'd',
    '-name',
    '__pycache__',
    '-exec',
    'rm',
    '-rf',
    '--',
    '{}',
    '+',
  ]);
  await tools.run('find', [rootfs, '-xdev', '-path', '*/etc/ssh/ssh_host_*', '-delete']);
}

/** A file of the image as it is before the ids on disk are final. */
interface SystemFile {
  readonly path: string;
  readonly content: string;
  readonly mode: string;
  readonly gid: number;
}

async function addUser(rootfs: string, scratch: string, tools: ImageTools): Promise<void> {
  const read = async (path: string): Promise<string> =>
    (await tools.run('cat', ['--', join(rootfs, path)])).stdout.toString('utf8');
  const { name, uid, gid, home, shell } = agentUser;
  const group = await read('etc/group');
  const shadowGid = Number(/^shadow:[^:]*:(\d+):/m.exec(group)?.[1] ?? 42);
  const files: readonly SystemFile[] = [
    {
      path: 'etc/passwd',
      content: `${await read('etc/passwd')}${name}:x:${uid}:${gid}:${name}:${home}:${shell}\n`,
      mode: '0644',
      gid: 0,
    },
    { path: 'etc/group', content: `${group}${name}:x:${gid}:\n`, mode: '0644', gid: 0 },
    {
      path: 'etc/shadow',
      content: `${withoutPasswords(await read('etc/shadow'))}${name}:!:19675:0:99999:7:::\n`,
      mode: '0640',
      gid: shadowGid,
    },
    { path: 'etc/gshadow', content: `${await read('etc/gshadow')}${name}:!::\n`, mode: '0640', gid: shadowGid },
    { path: 'etc/machine-id', content: '', mode: '0644', gid: 0 },
    // The engine puts its own over these three; a mount needs a file to lie on.
    { path: 'etc/resolv.conf', content: '', mode: '0644', gid: 0 },
    { path: 'etc/hostname', content: 'sandbox\n', mode: '0644', gid: 0 },
    { path: 'etc/hosts', content: '127.0.0.1 localhost\n::1 localhost\n', mode: '0644', gid: 0 },
  ];
  // The gateway's trust bundle lies over this one.
  const bundle = 'etc/ssl/certs/ca-certificates.crt';
  const hasBundle = await tools.run('test', ['-f', join(rootfs, bundle)], { anyExit: true });
  if (hasBundle.exitCode !== 0) {
    await tools.run('install', [
      '-d',
      '-m',
      '0755',
      '-o',
      '0',
      '-g',
      '0',
      join(rootfs, 'etc/ssl'),
      join(rootfs, 'etc/ssl/certs'),
    ]);
  }
  const trust: readonly SystemFile[] = hasBundle.exitCode === 0 ? [] : [{ path: bundle, content: '', mode: '0644', gid: 0 }];
  const staging = join(scratch, 'system');
  await mkdir(staging, { recursive: true });
  for (const { path, content, mode, gid: owner } of [...files, ...trust]) {
    const source = join(staging, path.replaceAll('/', '-'));
    // oxlint-disable-next-line no-await-in-loop -- in order
    await writeFile(source, content);
    // oxlint-disable-next-line no-await-in-loop -- in order
    await tools.run('install', ['-m', mode, '-o', '0', '-g', String(owner), '--no-target-directory', source, join(rootfs, path)]);
  }
  await tools.run('install', ['-d', '-m', '0755', '-o', '0', '-g', '0', join(rootfs, 'workspace')]);
  await tools.run('install', ['-d', '-m', '0700', '-o', String(uid), '-g', String(gid), join(rootfs, home)]);
}

/** No account has a password, and no date of this build is left. */
function withoutPasswords(shadow: string): string {
  return shadow.replace(/^([^:]+):[^:]*:\d*:/gm, '$1:*:19675:');
}

/** No program of an image gives anybody another id: the sandbox is entered as its user and stays so. */
async function removePrivileges(rootfs: string, tools: ImageTools): Promise<void> {
  await tools.run('find', [rootfs, '-xdev', '-perm', '/6000', '!', '-type', 'l', '-exec', 'chmod', 'a-s', '{}', '+']);
}

/**
 * Gives every file the id that the engine maps to its id in the image. Changing the owner also drops file capabilities,
 * which is why root does it, too, where the ids stay the same.
 */
async function ownByImageIds(rootfs: string, tools: ImageTools): Promise<void> {
  const groups = new Map<string, string[]>();
  // Before this step the ids on disk are those of the image; `listEntries` translated them, so translate back.
  for (const { path, uid, gid } of await listEntries(rootfs, tools)) {
    const owner = `${tools.diskId(tools.diskId(uid))}:${tools.diskId(tools.diskId(gid))}`;
    const paths = groups.get(owner) ?? [];
    paths.push(`${path === '' ? '.' : path}\0`);
    groups.set(owner, paths);
  }
  for (const [owner, paths] of groups) {
    // oxlint-disable-next-line no-await-in-loop -- in order
    await tools.run('xargs', ['-0', 'chown', '--no-dereference', owner, '--'], {
      cwd: rootfs,
      input: Buffer.from(paths.join(''), 'latin1'),
    });
  }
}
