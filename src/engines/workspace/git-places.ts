import { constants, fstatSync, readlinkSync, realpathSync } from 'node:fs';
import { isAbsolute, join, normalize, relative, resolve } from 'node:path';

import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import { listFolder } from '../../system/list-folder.ts';
import { closeHeld, contentOf, openOrNothing, readPlain, type Plain } from '../../system/read-plain.ts';
import { statsAt } from '../../system/stats-at.ts';
import { gitSettings, hookNames, namedBy, wordsOf } from './git-settings.ts';
import { passedOver } from './searched.ts';

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
export function placesNamedByGit(repository: Repository): readonly string[] {
  const search: Search = { ...repository, places: new Set(), seen: new Set(), looked: 0 };
  for (const file of hookFolders(search).flatMap((folder) => filesReadIn(search, folder))) {
    addWord(search, file, false);
  }
  return [...search.places].toSorted();
}

/**
 * What the programs of a workspace's hooks read, relative to it, there or not. One that is not there cannot be kept away: an
 * empty one would be read in its place, or added to the project as a new file. Throws as above.
 */
export function filesReadByHooks(workspace: string): readonly string[] {
  const search: Search = { workspace, top: '', places: new Set(), seen: new Set(), looked: 0 };
  return [...new Set(hookFolders(search).flatMap((folder) => filesReadIn(search, folder)))];
}

/** Reads the settings of the repository; absolute. */
function hookFolders(search: Search): readonly string[] {
  const { workspace, top } = search;
  const own = join(workspace, top, '.git');
  if (!isThere(own)) {
    return [];
  }
  const folders = [own, ...foldersOfWorktree(search, own)];
  for (const folder of folders) {
    for (const name of ['config', 'config.worktree']) {
      readSettings(search, join(folder, name));
    }
  }
  const named = [...search.places].map((place) => join(workspace, place));
  return [...folders.map((one) => join(one, 'hooks')), join(workspace, top, '.husky'), ...named];
}

/** Programs whose hooks do what a file of the project says: to change that file is to change the hook. */
interface Driver {
  readonly says: RegExp;
  readonly files: readonly string[];
}

const kindsOfFile = ['yml', 'yaml', 'json', 'jsonc', 'toml'];
const lefthook = (name: string): readonly string[] =>
  kindsOfFile.flatMap((kind) => ['', '.', '.config/'].map((before) => `${before}${name}.${kind}`));

const drivers: readonly Driver[] = [
  { says: /hook-impl|pre_commit/, files: ['prek.toml', '.pre-commit-config.yaml', '.pre-commit-config.yml'] },
  { says: /lefthook/i, files: [...lefthook('lefthook'), ...lefthook('lefthook-local')] },
  { says: /overcommit/i, files: ['.overcommit.yml'] },
  { says: /captainhook/i, files: ['captainhook.json'] },
  { says: /grumphp/i, files: ['grumphp.yml', 'grumphp.yaml', 'grumphp.yml.dist', 'grumphp.yaml.dist'] },
];

const mostHooks = 64;
/** A sandbox may have made the folder. */
const mostEntries = 1000;

function namesIn(folder: string): readonly string[] {
  const entries = isThere(folder) ? orNothing(() => listFolder(folder, mostEntries).entries) : undefined;
  return (entries ?? []).map(({ name }) => name).filter((name) => !name.endsWith('.sample'));
}

function filesReadIn(search: Search, folder: string): readonly string[] {
  return namesIn(folder)
    .slice(0, mostHooks)
    .flatMap((name) => {
      const text = orNothing(() => textOf(search, join(folder, name))) ?? '';
      return drivers.flatMap(({ says, files }) => (says.test(text) ? files : []));
    });
}

/**
 * The same by the settings that hold for every repository of a user and of the host: a relative folder of hooks, as many
 * have it, is one of the workspace's. Files that are not there name nothing.
 */
export function placesNamedByUser(workspace: string, { home, xdg }: UserPlaces): readonly string[] {
  const search: Search = { workspace, top: '', home, places: new Set(), seen: new Set(), looked: 0 };
  for (const file of ['/etc/gitconfig', join(xdg ?? join(home, '.config'), 'git/config'), join(home, '.gitconfig')]) {
    readSettings(search, file);
    // One may be a link into the workspace, where that is the repository of somebody's settings.
    add(search, file);
  }
  return [...search.places].toSorted();
}

export interface UserPlaces {
  readonly home: string;
  /** `XDG_CONFIG_HOME`, where it is set */
  readonly xdg?: string | undefined;
}

/** A `.git` that is a file names the folder of the worktree, which names the repository's (gitrepository-layout(5)). */
function foldersOfWorktree(search: Search, own: string): readonly string[] {
  const named = /^gitdir: ([^\r\n]+)/.exec(textOf(search, own) ?? '')?.[1];
  if (named === undefined) {
    return [];
  }
  const folder = resolve(join(own, '..'), named);
  const common = textOf(search, join(folder, 'commondir'))?.trim();
  return common === undefined || common === '' ? [folder] : [folder, resolve(folder, common)];
}

function readSettings(search: Search, file: string): void {
  if (search.seen.has(file)) {
    return;
  }
  search.seen.add(file);
  if (search.seen.size > mostFiles) {
    throw tooMuch(file, `includes more than ${mostFiles} files of settings`);
  }
  const text = textOf(search, file);
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
    addHooks(search, resolve(top, hook));
  }
  for (const [index, word] of words) {
    addWord(search, word, index === 0);
  }
  for (const include of paths(includes)) {
    const included = resolve(join(file, '..'), include);
    add(search, included);
    readSettings(search, included);
  }
}

/** `undefined` for one of another user's home, or of git's own installation: those are not known here. */
function pathOf({ home }: Search, written: string): string | undefined {
  if (written.startsWith('~/') && home !== undefined) {
    return join(home, written.slice(2));
  }
  return written.startsWith('~') || written.startsWith('%(') ? undefined : written;
}

/** A workspace that is a folder of hooks itself has to stay one in which work is done: each hook of it is one. */
function addHooks(search: Search, folder: string): void {
  const isWorkspace = [folder, orNothing(() => realpathSync.native(folder))].some(
    (way) => relative(search.workspace, way ?? '/') === '',
  );
  (isWorkspace ? hookNames.map((name) => join(search.workspace, name)) : [folder]).forEach((path) => add(search, path));
}

/** A program that is not there yet could be made; an argument is a file where one has its name. */
function addWord(search: Search, word: string, isProgram: boolean): void {
  const written = pathOf(search, word);
  if (written === undefined || word.split('/').some((part) => passedOver.includes(part))) {
    return;
  }
  const path = resolve(search.workspace, search.top, written);
  const isFile = statsAt(path)?.isFile() === true;
  if (isFile || (isProgram && word.includes('/') && !word.endsWith('/') && !isThere(path))) {
    add(search, path);
  }
}

function orNothing<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch {
    return undefined;
  }
}

function isThere(path: string): boolean {
  return statsAt(path) !== undefined;
}

function add({ workspace, places }: Search, path: string): void {
  // An absolute path may lead there by another way than that by which the workspace was opened.
  const ways = [path, orNothing(() => realpathSync.native(path)) ?? path];
  const inside = ways.map((way) => relative(workspace, normalize(way))).find((way) => isBelow(way) && way !== '.git');
  if (inside !== undefined) {
    places.add(inside);
  }
}

function isBelow(path: string): boolean {
  return path !== '' && path !== '..' && !path.startsWith('../') && !isAbsolute(path);
}

/** `undefined`: there is no plain file. In the workspace no symbolic link is followed; nothing is waited for anywhere. */
function textOf({ workspace, top }: Search, file: string): string | undefined {
  const inside = relative(workspace, file);
  if (isBelow(inside)) {
    return textIn(readPlain(workspace, inside, greatestBytes), file);
  }
  // The settings of a repository further in may be a sandbox's own, and what they name outside is not looked at.
  return isBelow(top) ? undefined : textIn(readOutside(file), file);
}

function textIn(read: Plain, file: string): string | undefined {
  if (read === 'longer') {
    throw tooMuch(file, `is longer than ${greatestBytes} bytes`);
  }
  return read === 'absent' ? undefined : read.toString('utf8');
}

/** What is not a plain file is never opened: to open a device can be a deed (a watchdog, a tape), and so can be to read of /proc. */
function readOutside(path: string): Plain {
  const place = openOrNothing(path, O_PATH);
  try {
    if (place === undefined || !fstatSync(place).isFile()) {
      return 'absent';
    }
    const itself = `/proc/self/fd/${place}`;
    return /^\/(?:proc|sys|dev)\//.test(readlinkSync(itself)) ? 'absent' : readHeld(itself);
  } finally {
    closeHeld(place);
  }
}

function readHeld(itself: string): Plain {
  const file = openOrNothing(itself, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    return file === undefined ? 'absent' : contentOf(file, greatestBytes);
  } finally {
    closeHeld(file);
  }
}

/** open(2), Linux: a handle that names a file, opens nothing and takes no right to it. */
const O_PATH = 0o10_000_000;

function tooMuch(file: string, why: string): CasemateError {
  return new CasemateError('PATH_INVALID', `${visible(file)} ${why}, so what git runs in the workspace cannot be known`, {
    hint: 'Make the settings of the repository shorter, or use the workspace in another mode.',
  });
}
