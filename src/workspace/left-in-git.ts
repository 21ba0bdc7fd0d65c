import { closeSync, constants, openSync } from 'node:fs';
import { join } from 'node:path';

import { gitSettings } from '../engines/workspace/git-settings.ts';
import { listFolder } from '../system/list-folder.ts';
import { run } from '../system/process.ts';
import { readPlain } from '../system/read-plain.ts';
import { statsAt } from '../system/stats-at.ts';
import { walkSmall } from '../system/walk-small.ts';
import { isRefused, leadsOutside } from './git-index.ts';

/**
 * What a sandbox left in a repository's own folder by which git of the host writes, reads or runs something elsewhere. git takes
 * what is there for its own work: it writes logs and messages through symbolic links, checks out to any place that an index
 * names, copies files that MERGE_RR names into `rr-cache`, and goes on with what was begun. Who may commit may write all that,
 * so no mount can keep it away, and a person is told.
 */
export interface LeftInGit {
  /** relative to that folder */
  readonly paths: readonly string[];
  /** `false`: it could not be searched to its end */
  readonly complete: boolean;
}

interface Searched {
  /** of the repository's own folder: its name need not be UTF-8, and whatever stands there meanwhile is not looked at */
  readonly held: string;
  /** what changed before it is not the sandbox's */
  readonly sinceMs: number;
}

export async function leftInGit(folder: string | Buffer, sinceMs: number): Promise<LeftInGit> {
  const handle = heldAt(folder);
  try {
    return handle === undefined ? { paths: [], complete: false } : await leftIn({ held: `/proc/self/fd/${handle}`, sinceMs });
  } catch {
    return { paths: [], complete: false };
  } finally {
    if (handle !== undefined) {
      closeSync(handle);
    }
  }
}

function heldAt(folder: string | Buffer): number | undefined {
  try {
    return openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  } catch {
    return undefined;
  }
}

/** In place: each is a step of a few microseconds, and every end of a command waits for them. More entries has no `.git` of git's. */
const mostEntries = 1000;

async function leftIn(searched: Searched): Promise<LeftInGit> {
  const links = await linksIn(searched);
  const { entries, isWhole } = listFolder(searched.held, mostEntries);
  const names = entries.map(({ name }) => name).filter((name) => isIndex.test(name));
  const checks = [...always, ...names.map((name) => ({ name, isFit: hasFitNames }))];
  const found = checks.map((check) => lookAt(searched, check));
  return {
    paths: [...links.paths, ...checks.flatMap(({ name }, index) => (found[index] === 'unfit' ? [name] : []))].toSorted(),
    complete: links.complete && isWhole && !found.includes('unread'),
  };
}

/** What is in it decides, or that it is there at all. */
interface Check {
  readonly name: string;
  readonly isFit?: ((content: Buffer, searched: Searched) => boolean) | undefined;
}

const isIndex = /^(?:index|sharedindex\..*)$/;

const always: readonly Check[] = [
  // `exec` in it runs a program, and so does a strategy beside it.
  { name: 'rebase-merge/git-rebase-todo' },
  { name: 'sequencer/todo' },
  {
    name: 'MERGE_RR',
    isFit: (content) =>
      !content
        .toString('latin1')
        .split('\0')
        .some((row) => isRefused(row.replace(/^[^\t]*\t/, ''))),
  },
];

const greatestIndex = 64 * 1024 * 1024;

function lookAt(searched: Searched, { name, isFit }: Check): 'fit' | 'unfit' | 'unread' {
  if (changedMs(join(searched.held, name)) < searched.sinceMs) {
    return 'fit';
  }
  if (isFit === undefined) {
    return 'unfit';
  }
  const content = contentOf(searched, name, greatestIndex);
  // One that came away meanwhile is not there; a link in its place is named as such.
  return content === undefined ? 'unread' : isFit(content, searched) ? 'fit' : 'unfit';
}

function hasFitNames(content: Buffer, searched: Searched): boolean {
  const settings = gitSettings(contentOf(searched, 'config', 1024 * 1024)?.toString('utf8') ?? '');
  const isLong = settings.some((one) => one.section === 'extensions' && one.name === 'objectformat' && one.value === 'sha256');
  return !leadsOutside(content, isLong ? 32 : 20);
}

function contentOf(searched: Searched, name: string, most: number): Buffer | undefined {
  const read = readPlain(searched.held, name, most);
  return typeof read === 'string' ? undefined : read;
}

/** Before everything for what is not there. */
function changedMs(path: string): number {
  return statsAt(path)?.ctimeMs ?? -1;
}

/** Contents of commits and files: git reads and makes them by their hashes alone. */
const objects = 'objects';

/** Symbolic links, and pipes, at which git would wait for whoever is inside. */
async function linksIn({ held, sinceMs }: Searched): Promise<LeftInGit> {
  const entries = walkSmall(held, { entersFolder: (_, path) => path !== objects });
  if (entries === undefined) {
    return await linksInLarge(held, sinceMs);
  }
  const left = entries.filter(({ path, kind }) => {
    const stats = kind === 'other' ? statsAt(join(held, path)) : undefined;
    return stats !== undefined && !stats.isSocket() && stats.ctimeMs >= sinceMs;
  });
  return { paths: left.map(({ path }) => path), complete: true };
}

const bounds = { env: { PATH: '/usr/bin:/bin' }, timeoutMs: 5000, maxOutputBytes: 1024 * 1024 };

/** find(1) walks past no symbolic link and into no other mount. Names need not be UTF-8; what is shown of such a one is. */
async function linksInLarge(held: string, sinceMs: number): Promise<LeftInGit> {
  const kinds = `( -type l -o -type p ) -newerct @${sinceMs / 1000} -printf`.split(' ');
  const args = ['.', '-xdev', '-path', `./${objects}`, '-prune', '-o', ...kinds, String.raw`%P\0`];
  const found = await run('find', args, { ...bounds, cwd: held }).catch(() => undefined);
  const paths = found?.stdout.toString('utf8').split('\0').slice(0, -1) ?? [];
  return { paths, complete: found?.exitCode === 0 && !found.truncated };
}
