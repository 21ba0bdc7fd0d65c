import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/**
 * A project in which everything that a program of the host might run by itself leaves a mark: the worst that a sandbox can
 * leave.
 */

/** Every program that is started on the host, and those that others start. */
const programs = (
  'runc crun runsc git node npm npx pip pip3 python3 perl sh bash env find setpriv nsenter unshare mke2fs mount umount losetup ' +
  'newuidmap newgidmap systemd-run getent apt apt-get apt-config apt-cache dpkg dpkg-deb mmdebstrap tar rm cp mkdir ln install chmod ' +
  'chown cat test true xargs sha256sum getcap grep sync stdbuf id uname ps ip ssh scp curl wget secret-tool security gh aws docker ' +
  'less more pager vi vim nano editor xdg-open open code casemate claude codex direnv'
).split(' ');

/** Places of programs: beside the work, and where package managers and virtual environments have them. */
export const plantedFolders = ['', 'bin', 'node_modules/.bin', '.venv/bin', 'tools'] as const;

/** What Perl, Python and Node load before or beside a program of their own, from where they are started. */
const modules = {
  pl: ['strict.pm', 'warnings.pm', 'POSIX.pm', 'Socket.pm', 'Errno.pm', 'sitecustomize.pl', 'lib/strict.pm'],
  py: ['sitecustomize.py', 'usercustomize.py', 'os.py'],
  js: ['index.js', 'index.mjs', 'node.config.js', 'node_modules/zod/index.js', 'node_modules/yaml/index.js', '.pnpmfile.cjs'],
} as const;

/** `mark`: the file that comes into being when any of it is run; it says by whom. */
export async function plantProject(folder: string, mark: string): Promise<void> {
  const shell = (what: string): string => `echo ${what} >> '${mark}'`;
  for (const place of plantedFolders) {
    for (const name of programs) {
      // oxlint-disable-next-line no-await-in-loop -- small files
      await put(join(folder, place, name), `#!/bin/sh\n${shell(`${place}/${name}`)}\nexit 1\n`);
    }
  }
  const node = (what: string): string => `require('node:fs').appendFileSync('${mark}', '${what}\\n');\n`;
  const files: Readonly<Record<string, string>> = {
    ...Object.fromEntries(modules.pl.map((name) => [name, `system("${shell(name)}"); 1;\n`])),
    ...Object.fromEntries(modules.py.map((name) => [name, `open('${mark}', 'a').write('${name}\\n')\n`])),
    ...Object.fromEntries(modules.js.map((name) => [name, node(name)])),
    'package.json': JSON.stringify({ name: 'planted', main: 'index.js', scripts: scripts(shell), bin: './bin/npm' }),
    '.npmrc': `script-shell=${folder}/bin/sh\nnode-options=--require=${folder}/index.js\nregistry=http://127.0.0.1:9/\ngit=${folder}/bin/git\n`,
    '.env': `NODE_OPTIONS=--require=${folder}/index.js\nPATH=${folder}/bin\nBASH_ENV=${folder}/bin/sh\n`,
    '.envrc': shell('.envrc'),
    'node.config.json': JSON.stringify({ nodeOptions: { require: [`${folder}/index.js`], import: [`${folder}/index.mjs`] } }),
    '.curlrc': `output = ${mark}\n`,
    '.perltidyrc': '',
    '.python-version': 'planted\n',
    '.pre-commit-config.yaml': `repos: [{ repo: local, hooks: [{ id: a, name: a, entry: ${folder}/bin/sh, language: system }] }]\n`,
    Makefile: `all:\n\t${shell('Makefile')}\n`,
    '.gitattributes': '* filter=planted diff=planted merge=planted\n',
    '.git/config': gitSettings(folder),
    '.git/HEAD': 'ref: refs/heads/main\n',
    'sub/.git/config': gitSettings(folder),
    'sub/.git/HEAD': 'ref: refs/heads/main\n',
    'docs/HEAD': 'ref: refs/heads/main\n',
    'docs/config': gitSettings(folder),
  };
  for (const [path, text] of Object.entries(files)) {
    // oxlint-disable-next-line no-await-in-loop -- a few small files
    await put(join(folder, path), text);
  }
  const hooks = ['pre-commit', 'post-checkout', 'post-index-change', 'fsmonitor-watchman', 'reference-transaction'];
  for (const hook of hooks) {
    // oxlint-disable-next-line no-await-in-loop -- as above
    await put(join(folder, '.git/hooks', hook), `#!/bin/sh\n${shell(`hooks/${hook}`)}\n`);
  }
  for (const place of ['.git/objects', '.git/refs', 'sub/.git/objects', 'sub/.git/refs', 'docs/objects', 'docs/refs']) {
    // oxlint-disable-next-line no-await-in-loop -- a handful
    await mkdir(join(folder, place), { recursive: true });
  }
}

function scripts(shell: (what: string) => string): Readonly<Record<string, string>> {
  const names = ['preinstall', 'install', 'postinstall', 'prepare', 'test', 'start'];
  return Object.fromEntries(names.map((name) => [name, shell(`script ${name}`)]));
}

/** Each of these runs a program at some command of git; those that a read runs stand first. */
function gitSettings(folder: string): string {
  const run = join(folder, 'bin/git');
  return [
    '[core]\n\trepositoryformatversion = 0\n\tbare = false',
    ...['fsmonitor', 'sshCommand', 'pager', 'editor', 'askPass', 'gitProxy', 'alternateRefsCommand'].map(
      (name) => `\t${name} = ${run}`,
    ),
    `\thooksPath = ${join(folder, '.git/hooks')}`,
    `[filter "planted"]\n\tclean = ${run}\n\tsmudge = ${run}\n\tprocess = ${run}\n\trequired = true`,
    `[diff]\n\texternal = ${run}\n[diff "planted"]\n\tcommand = ${run}\n\ttextconv = ${run}`,
    `[credential]\n\thelper = !${run}\n[gpg]\n\tprogram = ${run}\n[alias]\n\tstatus = !${run}`,
    `[include]\n\tpath = ${join(folder, 'more.gitconfig')}\n`,
  ].join('\n');
}

async function put(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text);
  await chmod(path, 0o755);
}
