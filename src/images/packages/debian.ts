import { link, mkdir, readdir, rename, rm, copyFile } from 'node:fs/promises';
import { join } from 'node:path';

import { CasemateError } from '../../base/errors.ts';
import { formatBytes } from '../../base/units.ts';
import { isErrno } from '../../system/files.ts';
import type { AptSession } from './apt-session.ts';
import { hashFile } from '../tools/hash-file.ts';
import type { Progress } from '../image.ts';
import { toolFailure } from '../tools/image-tools.ts';
import type { LockedDeb } from '../stored/lock.ts';

/** Debian packages: which ones an image needs, and their files, stored by hash so that nothing is fetched twice. */

/**
 * Fetches the package lists; older ones do where the network does not answer. Throws `IMAGE_BUILD_FAILED` where there are
 * none: apt itself calls that a success.
 */
export async function refreshLists(apt: AptSession, folder: string): Promise<void> {
  const { exitCode, stderr } = await apt.run('apt-get', ['-q', 'update']);
  const text = stderr.toString('utf8');
  const present = (await readdir(folder)).some((name) => /_Packages(?:\.|$)/.test(name));
  if (exitCode === 0 && present) {
    return;
  }
  const telling = text.split('\n').find((line) => /^[EW]: /.test(line));
  if (exitCode === 0 || /Failed to fetch|Temporary failure|Could not (?:resolve|connect)/i.test(text)) {
    throw new CasemateError('IMAGE_BUILD_FAILED', 'the package lists of Debian cannot be fetched: no source answered', {
      cause: telling,
      hint: 'Check the network, and the proxy and sources that apt uses on this host (apt-get update).',
    });
  }
  throw toolFailure('apt-get', text);
}

/**
 * The essential and required packages, apt, those asked for, and all they depend on, in the newest versions the host's
 * sources have; sorted by name. Throws `RECIPE_INVALID` for a package that does not exist.
 */
export async function resolveDebs(apt: AptSession, packages: readonly string[]): Promise<readonly LockedDeb[]> {
  const simulated = await apt.run('apt-get', ['-q', '-s', 'install', '?essential', '?priority(required)', 'apt', ...packages]);
  const complaint = simulated.stderr.toString('utf8');
  const unknown = /Unable to locate package (\S+)|Package '?([^\s']+)'? has no installation candidate/.exec(complaint);
  if (unknown !== null) {
    throw new CasemateError('RECIPE_INVALID', `Debian has no package "${unknown[1] ?? unknown[2] ?? ''}" in this release`);
  }
  const chosen = [...simulated.stdout.toString('utf8').matchAll(/^Inst (\S+) \((\S+) /gm)].map(
    ([, name = '', version = '']) => `${name}=${version}`,
  );
  if (simulated.exitCode !== 0 || chosen.length === 0) {
    throw new CasemateError(
      'IMAGE_BUILD_FAILED',
      `apt cannot choose packages: ${complaint.split('\n').findLast((line) => line.startsWith('E:')) ?? 'no reason given'}`,
    );
  }
  const described = new Map(
    parseStanzas(await apt.need('apt-cache', ['show', '--no-all-versions', ...chosen])).map((deb) => [
      `${deb.name}=${deb.version}`,
      deb,
    ]),
  );
  return chosen.map((key) => described.get(key) ?? notDescribed(key)).toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

function notDescribed(key: string): never {
  throw new CasemateError('IMAGE_BUILD_FAILED', `the package lists have no hash for ${key}`);
}

/** Stanzas of a `Packages` index. */
export function parseStanzas(text: string): readonly LockedDeb[] {
  return text.split(/\n\s*\n/).flatMap((stanza) => {
    const field = (name: string): string => new RegExp(`^${name}: *(\\S+)`, 'm').exec(stanza)?.[1] ?? '';
    const sha256 = field('SHA256').toLowerCase();
    return /^[0-9a-f]{64}$/.test(sha256)
      ? [
          {
            name: field('Package'),
            version: field('Version'),
            architecture: field('Architecture'),
            sha256,
            size: Number(field('Size')),
          },
        ]
      : [];
  });
}

export interface FetchOptions {
  readonly apt: () => Promise<AptSession>;
  /** cache folder of `.deb` files by hash */
  readonly folder: string;
  readonly progress: Progress;
}

/** Every package as a file of its hash in `folder`. Throws `IMAGE_BUILD_FAILED` for one that is gone or differs. */
export async function fetchDebs(debs: readonly LockedDeb[], { apt, folder, progress }: FetchOptions): Promise<void> {
  await mkdir(folder, { recursive: true });
  const present = new Set(await readdir(folder));
  const missing = debs.filter((deb) => !present.has(`${deb.sha256}.deb`));
  if (missing.length === 0) {
    return;
  }
  progress(`fetching ${missing.length} Debian packages (${formatBytes(missing.reduce((sum, deb) => sum + deb.size, 0))})`);
  const incoming = join(folder, '.incoming');
  await rm(incoming, { recursive: true, force: true });
  await mkdir(incoming);
  try {
    const session = await apt();
    const fetched = await session.run(
      'apt-get',
      ['-q', 'download', ...missing.map(({ name, version }) => `${name}=${version}`)],
      { cwd: incoming },
    );
    for (const deb of missing) {
      // oxlint-disable-next-line no-await-in-loop -- one disk
      await takeIn(deb, { incoming, folder, complaint: fetched.stderr.toString('utf8') });
    }
  } finally {
    await rm(incoming, { recursive: true, force: true });
  }
}

async function takeIn(
  deb: LockedDeb,
  { incoming, folder, complaint }: { incoming: string; folder: string; complaint: string },
): Promise<void> {
  const file = join(incoming, debFileName(deb));
  const actual = await hashFile(file, 'sha256').catch((error: unknown) => {
    if (/no space left/i.test(complaint)) {
      throw error;
    }
    throw new CasemateError(
      'IMAGE_BUILD_FAILED',
      `the package ${deb.name} ${deb.version} cannot be fetched from the host's package sources`,
      {
        cause: error,
        hint: 'Check the network, or build without --locked if this version is no longer offered.',
      },
    );
  });
  if (actual.toString('hex') !== deb.sha256) {
    throw new CasemateError('IMAGE_BUILD_FAILED', `the package ${deb.name} ${deb.version} has another hash than the lock says`);
  }
  await rename(file, join(folder, `${deb.sha256}.deb`));
}

/** As apt and the archive name it: the colon of an epoch is escaped. */
export function debFileName({ name, version, architecture }: LockedDeb): string {
  return `${name}_${version.replaceAll(':', '%3a')}_${architecture}.deb`;
}

/** A hard link, or a copy where the file system has none. Never a symbolic link. */
export async function linkOrCopy(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    if (!isErrno(error, 'EXDEV') && !isErrno(error, 'EPERM') && !isErrno(error, 'EMLINK')) {
      throw error;
    }
    await copyFile(from, to);
  }
}
