import { lstatSync } from 'node:fs';
import { join } from 'node:path';

import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import { listFolder } from '../../system/list-folder.ts';
import { run } from '../../system/process.ts';
import { statsAt } from '../../system/stats-at.ts';
import { walkSmall } from '../../system/walk-small.ts';
import { placesNamedByGit } from './git-places.ts';
import { deepest, passedOver } from './searched.ts';

/**
 * Protected names deeper in a workspace: those that exist in a package, a submodule or a linked worktree, and the places that
 * the workspace's own git settings name. Only what exists can be found; a name that the agent makes in a folder of its own
 * cannot be foreseen. No symbolic link is followed.
 */
export async function nestedPaths(workspace: string, protect: readonly string[]): Promise<readonly string[]> {
  const found = await scan(workspace, protect);
  const worktrees = foldersIn(workspace, '.git/worktrees');
  const own = protect.includes('.git/config')
    ? [...placesOfRepositories(workspace, found), ...namesOfBareRepository(workspace)]
    : [];
  return [...found, ...worktrees, ...own];
}

/** Of the workspace's own, of those that were found in it, submodules among them, and of those that it is a part of. */
function placesOfRepositories(workspace: string, found: readonly string[]): readonly string[] {
  const tops = new Set(['', ...found.flatMap((path) => (/^(.+)\/\.git(?:\/config)?$/.exec(path) ?? []).slice(1))]);
  const places: string[] = [];
  for (const top of [...tops, ...foldersAbove(workspace)]) {
    places.push(...placesNamedByGit({ workspace, top }));
    refuseTooMany(places);
  }
  return places;
}

/** `..`, `../..` and so on, up to the root. */
function foldersAbove(workspace: string): readonly string[] {
  const depth = workspace.split('/').filter((name) => name !== '').length;
  return Array.from({ length: depth }, (_, index) => Array.from({ length: index + 1 }, () => '..').join('/'));
}

/**
 * Names that keep the top folder itself from being taken for a repository. An agent can make `.git` an invalid one by
 * removing `.git/HEAD`; git then takes a folder with HEAD, objects and refs (which a `commondir` moves elsewhere) for a
 * bare repository and does what the `config` beside them says (setup.c, is_git_directory). Without one of them it is none.
 * HEAD is the last choice: while there is a file of that name git asks whether `HEAD` means it.
 */
function namesOfBareRepository(workspace: string): readonly string[] {
  const unused = ['refs', 'objects'].find((name) => isUnused(join(workspace, name)));
  if (unused !== undefined) {
    return ['commondir', unused];
  }
  // With all three in place the workspace is a bare repository: its settings lie in the top folder.
  return kindOf(join(workspace, 'HEAD')) === 'absent' ? ['HEAD'] : partsOfBareRepository;
}

const partsOfBareRepository = [
  'commondir',
  'config',
  'config.worktree',
  'config.lock',
  'config.worktree.lock',
  'hooks',
  'modules',
  'remotes',
  'branches',
  'objects/info/alternates',
];

/** Absent, or an empty folder: what an earlier start or another sandbox put there. */
function isUnused(path: string): boolean {
  const kind = kindOf(path);
  return kind === 'absent' || (kind === 'folder' && listFolder(path, 0).isWhole);
}

/**
 * What a start may find before it is refused: each is a mount. Files that a sandbox left in the way must not hide what lies
 * behind them, so the search goes to its end or the start fails.
 */
const bounds = { depth: deepest, names: 5000, timeoutMs: 20_000 } as const;

async function scan(workspace: string, protect: readonly string[]): Promise<readonly string[]> {
  const first = [...new Set(protect.map((row) => row.split('/')[0] ?? row))];
  const { rows, truncated } = rowsOfSmall(workspace, first) ?? (await rowsOfLarge(workspace, first));
  const found = rows.flatMap(({ path, isFolder }) => {
    const name = path.slice(path.lastIndexOf('/') + 1);
    const matching = protect.filter((row) => row === name || row.startsWith(`${name}/`));
    return isFolder ? matching.map((row) => path.slice(0, -name.length) + row) : [path];
  });
  refuseTooMany(found, truncated);
  return found;
}

function refuseTooMany(found: readonly string[], truncated = false): void {
  if (truncated || found.length > bounds.names) {
    throw new CasemateError('PATH_INVALID', `the workspace has more than ${bounds.names} names to protect below its top folder`, {
      hint: `Remove what is not yours, e.g.: ${found.slice(-3).map(visible).join(', ')}`,
    });
  }
}

interface Rows {
  /** below the top folder, by the names that were asked for */
  readonly rows: readonly { readonly path: string; readonly isFolder: boolean }[];
  readonly truncated: boolean;
}

/** Those of the workspace itself are in the list of the protected already, but must not be walked through. */
function rowsOfSmall(workspace: string, first: readonly string[]): Rows | undefined {
  const isPassedOver = (name: string): boolean => passedOver.includes(name);
  const entersFolder = (name: string): boolean => !isPassedOver(name) && !first.includes(name);
  const entries = walkSmall(workspace, { entersFolder, maxDepth: bounds.depth });
  const rows = entries
    ?.filter(({ path, name, kind }) => path.includes('/') && first.includes(name) && kind !== 'other')
    .filter(({ name, kind }) => kind === 'file' || !isPassedOver(name))
    .map(({ path, kind }) => ({ path, isFolder: kind === 'folder' }));
  return rows && { rows, truncated: false };
}

/** find(1) walks a large tree in a tenth of the time that it takes here, past no symbolic link and into no other mount. */
async function rowsOfLarge(workspace: string, first: readonly string[]): Promise<Rows> {
  const anyOf = (names: readonly string[]): readonly string[] =>
    names.flatMap((name, index) => [...(index === 0 ? [] : ['-o']), '-name', literal(name)]);
  const args = [
    workspace,
    ...`-mindepth 1 -maxdepth ${bounds.depth} -xdev -type d (`.split(' '),
    ...anyOf(passedOver),
    ...`) -prune -o -type d -uid ${lstatSync(workspace).uid} ( ! -readable -o ! -executable ) -prune -printf`.split(' '),
    String.raw`${closed}%P\0`,
    ...'-o ('.split(' '),
    ...anyOf(first),
    ...') -prune ( -type d -o -type f ) -printf'.split(' '),
    String.raw`%y%P\0`,
  ];
  const result = await run('find', args, { env: { PATH: '/usr/bin:/bin' }, timeoutMs: bounds.timeoutMs });
  const rows = result.stdout.toString('utf8').split('\0');
  refuseClosed(rows.find((row) => row.startsWith(closed))?.slice(1));
  return { rows: rowsOf(rows), truncated: result.truncated };
}

/** Not a kind of entry. */
const closed = 'u';

/** A sandbox can close a folder of its owner's to who is not root, and open it again once what is in it was not found. */
function refuseClosed(path: string | undefined): void {
  if (path !== undefined) {
    throw new CasemateError(
      'PATH_INVALID',
      `the workspace's folder ${visible(path)} cannot be looked into, so what to protect in it is not known`,
      { hint: 'Look at what is in it, and open it: chmod u+rwx' },
    );
  }
}

/** A pattern of find(1) that stands for itself. */
function literal(name: string): string {
  return name.replaceAll(/[*?[\]\\]/g, String.raw`\$&`);
}

/** Each row begins with the kind of entry and ends in NUL. A name that is not UTF-8 cannot be written into a plan. */
function rowsOf(rows: readonly string[]): Rows['rows'] {
  return rows
    .filter((row) => row.includes('/') && !row.includes('\u{fffd}'))
    .map((row) => ({ path: row.slice(1), isFolder: row.startsWith('d') }));
}

/** What a folder of the host may hold before it is not looked at to its end: as many as may be protected. */
const mostWorktrees = bounds.names;

/** Each linked worktree's own settings; a new one may be added. */
function foldersIn(workspace: string, folder: string): readonly string[] {
  if (!isPlainPath(workspace, folder)) {
    return [];
  }
  const { entries, isWhole } = listFolder(join(workspace, folder), mostWorktrees);
  const found = entries.filter((entry) => entry.isDirectory()).map(({ name }) => `${folder}/${name}`);
  refuseTooMany(found, !isWhole);
  return found;
}

/** Whether a folder is there and no part of its path is a symbolic link. */
function isPlainPath(workspace: string, path: string): boolean {
  const names = path.split('/');
  return names.every((_, index) => kindOf(join(workspace, ...names.slice(0, index + 1))) === 'folder');
}

/** As it is now, whatever it is; what cannot be looked at is not there. */
function kindOf(path: string): 'folder' | 'other' | 'absent' {
  const stats = statsAt(path);
  return stats === undefined ? 'absent' : stats.isDirectory() ? 'folder' : 'other';
}
