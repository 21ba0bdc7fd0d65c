import { basename } from 'node:path';

import { run } from '../system/process.ts';
import { statsAt } from '../system/stats-at.ts';
import { walkSmall } from '../system/walk-small.ts';
import { filesReadByHooks } from '../engines/workspace/git-places.ts';
import { deepest, passedOver } from '../engines/workspace/searched.ts';
import { leftInGit, type LeftInGit } from './left-in-git.ts';

/**
 * Finds git repositories that appeared in a workspace, or whose settings changed, since a moment. Any git command in one runs
 * what its settings name, and `git status` in a parent whose index lists it as a submodule runs it there too. No mount can
 * protect a name that does not exist yet, so a person is told. Of those that were there, what was left in their own folder is named.
 */
export interface NewRepositories {
  /** Relative to the workspace, sorted: folders of repositories, places in a `.git` that was there, files with the hook that reads them. */
  readonly paths: readonly string[];
  /** `false`: the tree could not be searched to its end */
  readonly complete: boolean;
}

/** Whether one of `paths` is a repository, and not a place in its own folder or a file that was replaced. */
export function isRepository(path: string): boolean {
  return !/(?:^|[/ ])\.git\/| \(changed meanwhile\)$/i.test(path);
}

export interface SearchOptions {
  readonly timeoutMs?: number | undefined;
  /** of names that could belong to a repository */
  readonly bytes?: number | undefined;
  /** Places that have been protected since the moment, those of each repository that was there then among them; none: not known. */
  readonly held?: readonly string[] | undefined;
}

/** of a repository in disguise, without a folder of the name `.git` */
const head = 'HEAD';

/** Each row ends in NUL and begins with the kind of entry. find(1) walks past no symbolic link and into no other mount. */
const what = ['-xdev', '(', '-iname', '.git', '-prune', '-o', '-name', head, ')', '-printf', String.raw`%y%P\0`];

/** By change times, which only the kernel sets: a repository that was there and stayed as it was is not among them. */
export async function newRepositories(workspace: string, sinceMs: number, options: SearchOptions = {}): Promise<NewRepositories> {
  const { rows, complete } = rowsOfSmall(workspace) ?? (await rowsOfLarge(workspace, options));
  const held = options.held ?? [];
  const wasThere = heldBy(held);
  const found: LeftInGit[] = [readByHooks(workspace, sinceMs, held), changedMeanwhile(workspace, sinceMs, held)];
  for (const row of rows) {
    const isKnown = wasThere(row) && !isNew(workspace, row, sinceMs);
    // oxlint-disable-next-line no-await-in-loop -- most often none or one
    found.push(isKnown ? await leftIn(workspace, row, sinceMs) : { paths: [shownFolder(row)], complete: true });
  }
  const paths = new Set(found.flatMap((one) => one.paths));
  return { paths: [...paths].toSorted(), complete: complete && found.every((one) => one.complete) };
}

/** Names need not be UTF-8; what is shown of such a one is. */
function shownFolder({ folder }: Row): string {
  return folder.length === 0 ? '.' : folder.toString('utf8');
}

/**
 * A program of the host that replaces a protected file takes the mount away with it: from then on a sandbox that runs can write
 * what is there now. Which of the two changed it last cannot be told.
 */
function changedMeanwhile(workspace: string, sinceMs: number, held: readonly string[]): LeftInGit {
  const changed = held.filter((path) => {
    const stats = statsAt(Buffer.from(`${workspace}/${path}`));
    return stats?.isFile() === true && stats.ctimeMs >= sinceMs;
  });
  return { paths: changed.map((path) => `${path} (changed meanwhile)`), complete: true };
}

/** Files made since then that the program of a hook reads at the next commit; those that were there are protected. */
function readByHooks(workspace: string, sinceMs: number, held: readonly string[]): LeftInGit {
  try {
    const files = filesReadByHooks(workspace).filter((file) => !held.includes(file));
    const made = files.filter((file) => timeOf(Buffer.from(`${workspace}/${file}`), 'ctimeMs') >= sinceMs);
    return { paths: made.map((file) => `${file} (read by .git/hooks)`), complete: true };
  } catch {
    return { paths: [], complete: false };
  }
}

/** Places in the folder `.git` of a repository that was there, each of which has `.git` in its path. */
async function leftIn(workspace: string, { isFolder, folder, name }: Row, sinceMs: number): Promise<LeftInGit> {
  if (!isFolder || name === head) {
    return { paths: [], complete: true };
  }
  const own = Buffer.concat([folder, Buffer.from(folder.length === 0 ? name : `/${name}`)]);
  const { paths, complete } = await leftInGit(Buffer.concat([Buffer.from(`${workspace}/`), own]), sinceMs);
  return { paths: paths.map((path) => `${own.toString('utf8')}/${path}`), complete };
}

interface Rows {
  readonly rows: readonly Row[];
  readonly complete: boolean;
}

interface Row {
  readonly isFolder: boolean;
  /** relative to the workspace, as bytes; empty for itself */
  readonly folder: Buffer;
  readonly name: string;
}

/** A name of a repository's own folder, for git on a file system that does not tell letters by case, too. */
const isGit = /^\.git$/i;

function rowsOfSmall(workspace: string): Rows | undefined {
  const entries = isGit.test(basename(workspace))
    ? undefined
    : walkSmall(workspace, { entersFolder: (name) => !isGit.test(name) });
  const rows = entries
    ?.filter(({ name }) => name === head || isGit.test(name))
    .map(({ path, name, kind }) => {
      const folder = Buffer.from(path.slice(0, Math.max(0, path.length - name.length - 1)));
      return { isFolder: kind === 'folder', folder, name };
    });
  return rows && { rows, complete: true };
}

async function rowsOfLarge(workspace: string, { timeoutMs = 5000, bytes = 1024 * 1024 }: SearchOptions): Promise<Rows> {
  const options = { env: { PATH: '/usr/bin:/bin' }, timeoutMs, maxOutputBytes: bytes };
  const found = await run('find', [workspace, ...what], options).catch(() => undefined);
  return found === undefined
    ? { rows: [], complete: false }
    : { rows: rowsOf(found.stdout), complete: found.exitCode === 0 && !found.truncated };
}

function rowsOf(output: Buffer): readonly Row[] {
  const rows: Row[] = [];
  for (let start = 0, end = output.indexOf(0); end >= 0; start = end + 1, end = output.indexOf(0, start)) {
    const path = output.subarray(start + 1, end);
    const slash = path.lastIndexOf('/');
    const name = path.subarray(slash + 1).toString('utf8');
    rows.push({ isFolder: output[start] === 0x64, folder: path.subarray(0, Math.max(0, slash)), name });
  }
  return rows;
}

/**
 * A repository that takes its name since then may be made of what is old: none of its times says so. Each that was there has
 * had its settings protected, or lies in a folder that is protected as a whole; but for those in folders that no start looks into.
 */
function heldBy(held: readonly string[]): (row: Row) => boolean {
  const places = new Set(held);
  const above = new Set(held.flatMap((path) => foldersAbove(path)));
  const isWhole = (path: string): boolean => places.has(path) && !above.has(path);
  return ({ isFolder, folder, name }) => {
    const path = folder.toString('utf8');
    const names = path.split('/');
    const isUnseen = names.length >= deepest || names.some((part) => passedOver.includes(part));
    return (
      !isFolder ||
      name !== '.git' ||
      path === '' ||
      held.length === 0 ||
      isUnseen ||
      [...foldersAbove(`${path}/.git/config`), `${path}/.git/config`].some(isWhole)
    );
  };
}

function foldersAbove(path: string): readonly string[] {
  const names = path.split('/');
  return names.slice(1).map((_, index) => names.slice(0, index + 1).join('/'));
}

/** What git takes for a repository: something named `.git`, or HEAD with objects and refs or a `commondir` beside it. */
function isNew(workspace: string, { isFolder, folder, name }: Row, sinceMs: number): boolean {
  // The workspace's own `.git` is protected, and its folder changes with every commit.
  if (name !== head && folder.length === 0) {
    return false;
  }
  const at = (...names: readonly string[]): Buffer =>
    Buffer.concat([Buffer.from(`${workspace}/`), folder, Buffer.from(names.map((part) => `/${part}`).join(''))]);
  const has = (path: Buffer): boolean => timeOf(path, 'ctimeMs') > 0;
  if (name !== head && !isFolder) {
    return timeOf(at(name), 'ctimeMs') >= sinceMs;
  }
  const isBare = name === head;
  if (isBare && !has(at('commondir')) && !(has(at('objects')) && has(at('refs')))) {
    return false;
  }
  const inside = isBare ? [] : [name];
  const times = [
    ...settings.map((file) => timeOf(at(...inside, file), 'ctimeMs')),
    // Born, not changed: a commit changes these. Nobody commits in one without a work tree, and each part may be what was missing.
    ...(isBare ? parts.map((part) => timeOf(at(part), 'ctimeMs')) : [timeOf(at(name), 'birthtimeMs')]),
  ];
  return times.some((time) => time >= sinceMs);
}

const parts = ['HEAD', 'objects', 'refs'];

/** What names programs, or says where that is read. */
const settings = ['config', 'config.worktree', 'commondir', 'hooks'];

/** 0 of what is not there. */
function timeOf(path: Buffer, which: 'ctimeMs' | 'birthtimeMs'): number {
  return statsAt(path)?.[which] ?? 0;
}
