import { constants } from 'node:fs';
import { lstat, open, readdir, readlink, realpath } from 'node:fs/promises';
import { isAbsolute, join, normalize, relative, resolve } from 'node:path';

import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import { isErrno } from '../../system/files.ts';
import { readBeneath } from '../../system/read-beneath.ts';
import { gitSettings, namedBy, wordsOf } from './git-settings.ts';

/**
 * Places of a workspace that the settings of a repository in it name: folders of hooks, files of further settings, and files
 * that git runs of its own accord. Those outside of the workspace are not the sandbox's to write. Of settings that lie
 * outside, because this is a linked worktree or they include such, what they name inside counts all the same.
 */
export interface Repository {
  readonly workspace: string;
  /** folder that has `.git`, relative to the workspace; empty for itself */
  readonly top: string;
}

/** Folders that tools fill, never opened as a project of their own: what is run from there is no file of the project. */
export const passedOver = ['node_modules', '.venv', '__pycache__', '.cache', 'target'];

interface Search extends Repository {
  /** what `~/` stands for, where that is known */
  readonly home?: string | undefined;
  readonly places: Set<string>;
  readonly seen: Set<string>;
  /** paths and words of commands that were looked at */
  looked: number;
}

const greatestBytes = 1024 * 1024;
/** git gives up at ten includes in one another */
const mostFiles = 64;
/** Each is looked for on the disk, and a repository further in may be a sandbox's own work. */
const mostNamed = 2000;

/** Relative to the workspace. Throws `PATH_INVALID` for settings that are too long or too many to be known. */
export async function placesNamedByGit(repository: Repository): Promise<readonly string[]> {
  const { workspace, top } = repository;
  const search: Search = { ...repository, places: new Set(), seen: new Set(), looked: 0 };
  const own = join(workspace, top, '.git');
  if (!(await isThere(own))) {
    return [];
  }
  const folders = [own, ...(await foldersOfWorktree(search, own))];
  for (const folder of folders) {
    for (const name of ['config', 'config.worktree']) {
      // oxlint-disable-next-line no-await-in-loop -- three files at most
      await readSettings(search, join(folder, name));
    }
  }
  const named = [...search.places].map((place) => join(workspace, place));
  for (const folder of [...folders.map((one) => join(one, 'hooks')), join(workspace, top, '.husky'), ...named]) {
    // oxlint-disable-next-line no-await-in-loop -- few
    await readHooks(search, folder);
  }
  return [...search.places].toSorted();
}

/** Programs whose hooks do what a file of the project says: to change that file is to change the hook. */
const drivers: readonly { readonly says: RegExp; readonly files: readonly string[] }[] = [
  { says: /hook-impl|pre_commit/, files: ['.pre-commit-config.yaml'] },
  {
    says: /lefthook/i,
    files: ['', '.'].flatMap((dot) =>
      ['lefthook', 'lefthook-local'].flatMap((name) => ['yml', 'yaml', 'toml', 'json'].map((kind) => `${dot}${name}.${kind}`)),
    ),
  },
];

const mostHooks = 64;

async function readHooks(search: Search, folder: string): Promise<void> {
  const names = await readdir(folder).catch((): string[] => []);
  for (const name of names.filter((one) => !one.endsWith('.sample')).slice(0, mostHooks)) {
    // oxlint-disable-next-line no-await-in-loop -- few
    const text = (await readPlain(search, join(folder, name)).catch(() => undefined)) ?? '';
    for (const file of drivers.flatMap(({ says, files }) => (says.test(text) ? files : []))) {
      // oxlint-disable-next-line no-await-in-loop -- as above
      await addWord(search, file, false);
    }
  }
}

/**
 * The same by the settings that hold for every repository of a user and of the host: a relative folder of hooks, as many
 * have it, is one of the workspace's. Files that are not there name nothing.
 */
export async function placesNamedByUser(workspace: string, { home, xdg }: UserPlaces): Promise<readonly string[]> {
  const search: Search = { workspace, top: '', home, places: new Set(), seen: new Set(), looked: 0 };
  for (const file of ['/etc/gitconfig', join(xdg ?? join(home, '.config'), 'git/config'), join(home, '.gitconfig')]) {
    // oxlint-disable-next-line no-await-in-loop -- three files
    await readSettings(search, file);
    // One may be a link into the workspace, where that is the repository of somebody's settings.
    // oxlint-disable-next-line no-await-in-loop -- as above
    await add(search, file);
  }
  return [...search.places].toSorted();
}

export interface UserPlaces {
  readonly home: string;
  /** `XDG_CONFIG_HOME`, where it is set */
  readonly xdg?: string | undefined;
}

/** A `.git` that is a file names the folder of the worktree, which names the repository's (gitrepository-layout(5)). */
async function foldersOfWorktree(search: Search, own: string): Promise<readonly string[]> {
  const named = /^gitdir: ([^\r\n]+)/.exec((await readPlain(search, own)) ?? '')?.[1];
  if (named === undefined) {
    return [];
  }
  const folder = resolve(join(own, '..'), named);
  const common = (await readPlain(search, join(folder, 'commondir')))?.trim();
  return common === undefined || common === '' ? [folder] : [folder, resolve(folder, common)];
}

async function readSettings(search: Search, file: string): Promise<void> {
  if (search.seen.has(file)) {
    return;
  }
  search.seen.add(file);
  if (search.seen.size > mostFiles) {
    throw tooMuch(file, `includes more than ${mostFiles} files of settings`);
  }
  const text = await readPlain(search, file);
  if (text === undefined) {
    return;
  }
  const { includes, hooks, commands } = namedBy(gitSettings(text));
  const top = join(search.workspace, search.top);
  const words = commands.flatMap((command) => [...wordsOf(command).entries()]);
  search.looked += includes.length + hooks.length + words.length;
  if (search.looked > mostNamed) {
    throw tooMuch(file, `names more than ${mostNamed} paths and words of commands`);
  }
  const paths = (written: readonly string[]): readonly string[] => written.flatMap((path) => pathOf(search, path) ?? []);
  for (const hook of paths(hooks)) {
    // oxlint-disable-next-line no-await-in-loop -- one or none
    await add(search, resolve(top, hook));
  }
  for (const [index, word] of words) {
    // oxlint-disable-next-line no-await-in-loop -- few
    await addWord(search, word, index === 0);
  }
  for (const include of paths(includes)) {
    const included = resolve(join(file, '..'), include);
    // oxlint-disable-next-line no-await-in-loop -- one after the other: `seen` bounds them
    await add(search, included);
    // oxlint-disable-next-line no-await-in-loop -- as above
    await readSettings(search, included);
  }
}

/** `undefined` for one of another user's home, or of git's own installation: those are not known here. */
function pathOf({ home }: Search, written: string): string | undefined {
  if (written.startsWith('~/') && home !== undefined) {
    return join(home, written.slice(2));
  }
  return written.startsWith('~') || written.startsWith('%(') ? undefined : written;
}

/** A program that is not there yet could be made; an argument is a file where one has its name. */
async function addWord(search: Search, word: string, isProgram: boolean): Promise<void> {
  const written = pathOf(search, word);
  if (written === undefined || word.split('/').some((part) => passedOver.includes(part))) {
    return;
  }
  const path = resolve(search.workspace, search.top, written);
  const isFile = (await lstat(path).catch(() => undefined))?.isFile() === true;
  if (isFile || (isProgram && word.includes('/') && !word.endsWith('/') && !(await isThere(path)))) {
    await add(search, path);
  }
}

async function isThere(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => undefined)) !== undefined;
}

async function add({ workspace, places }: Search, path: string): Promise<void> {
  // An absolute path may lead there by another way than that by which the workspace was opened.
  const ways = [path, await realpath(path).catch(() => path)];
  const inside = ways.map((way) => relative(workspace, normalize(way))).find((way) => isBelow(way) && way !== '.git');
  if (inside !== undefined) {
    places.add(inside);
  }
}

function isBelow(path: string): boolean {
  return path !== '' && path !== '..' && !path.startsWith('../') && !isAbsolute(path);
}

/** `undefined`: there is no plain file. In the workspace no symbolic link is followed; nothing is waited for anywhere. */
async function readPlain({ workspace, top }: Search, file: string): Promise<string | undefined> {
  const inside = relative(workspace, file);
  if (!isBelow(inside)) {
    // The settings of a repository further in may be a sandbox's own, and what they name outside is not looked at.
    return isBelow(top) ? undefined : await readOutside(file);
  }
  const limits = { maxFiles: 1, maxFileBytes: greatestBytes, maxBytes: greatestBytes, maxDepth: 0 };
  const [found] = await readBeneath(workspace, inside, limits);
  if (found?.kind === 'refused' && found.why.startsWith('longer')) {
    throw tooMuch(file, `is ${found.why}`);
  }
  return found?.kind === 'file' && found.path === inside ? found.content.toString('utf8') : undefined;
}

/** What is not a plain file is never opened: to open a device can be a deed (a watchdog, a tape), and so can be to read of /proc. */
async function readOutside(path: string): Promise<string | undefined> {
  const place = await open(path, O_PATH).catch(passOver);
  try {
    const stats = await place?.stat();
    if (place === undefined || stats?.isFile() !== true) {
      return undefined;
    }
    const itself = `/proc/self/fd/${place.fd}`;
    if (/^\/(?:proc|sys|dev)\//.test(await readlink(itself))) {
      return undefined;
    }
    if (stats.size > greatestBytes) {
      throw tooMuch(path, `is longer than ${greatestBytes} bytes`);
    }
    const file = await open(itself, constants.O_RDONLY | constants.O_NONBLOCK).catch(passOver);
    try {
      const read = await file?.read(Buffer.alloc(greatestBytes), 0, greatestBytes, 0);
      return read?.buffer.toString('utf8', 0, read.bytesRead);
    } finally {
      await file?.close();
    }
  } finally {
    await place?.close();
  }
}

/** open(2), Linux: a handle that names a file, opens nothing and takes no right to it. */
const O_PATH = 0o10_000_000;

function passOver(error: unknown): undefined {
  if (!['ENOENT', 'ENOTDIR', 'EACCES', 'ELOOP', 'ENXIO', 'EPERM', 'ENAMETOOLONG'].some((code) => isErrno(error, code))) {
    throw error;
  }
}

function tooMuch(file: string, why: string): CasemateError {
  return new CasemateError('PATH_INVALID', `${visible(file)} ${why}, so what git runs in the workspace cannot be known`, {
    hint: 'Make the settings of the repository shorter, or use the workspace in another mode.',
  });
}
