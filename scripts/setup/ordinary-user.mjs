/** An ordinary user for the rootless part of the tests, made by root, with subordinate ids and a copy of the checkout. */
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import { Failure } from './failure.mjs';
import { root } from './places.mjs';
import { runQuiet } from './processes.mjs';
import { step, stepFault } from './progress.mjs';

const name = 'casemate-test';

/**
 * The user, made if absent: with its ids and home. Needs root.
 * @returns {Promise<{ name: string, uid: number, gid: number, home: string }>}
 */
export async function ordinaryUser() {
  const known = find();
  if (known === undefined) {
    const made = await runQuiet('useradd', ['--create-home', '--shell', '/bin/sh', '--comment', 'casemate test suite', name]);
    if (made.code !== 0) {
      throw stepFault('useradd', made);
    }
  }
  const user = known ?? find();
  if (user === undefined) {
    throw new Failure(`useradd ended well, but there is no user ${name}`);
  }
  for (const file of ['/etc/subuid', '/etc/subgid']) {
    ensureRange(file);
  }
  return user;
}

/** A copy of the checkout that the user owns: the original may lie where only root can go. */
export async function copyFor({ uid, gid, home }) {
  const copy = mkdtempSync(join(home, 'checkout-'));
  await step('Copying the checkout for an ordinary user', async () => {
    const entries = [
      'src',
      'test',
      'scripts',
      'bench',
      'dist',
      'docs',
      'node_modules',
      'package.json',
      'package-lock.json',
      'tsconfig.json',
      'vitest.config.ts',
    ];
    const copied = await runQuiet('cp', ['-a', '--reflink=auto', ...entries.map((entry) => join(root, entry)), copy]);
    const owned = await runQuiet('chown', ['-R', `${uid}:${gid}`, copy]);
    if (copied.code !== 0 || owned.code !== 0) {
      throw stepFault('copying', copied.code === 0 ? owned : copied);
    }
  });
  return { folder: copy, remove: () => rmSync(copy, { recursive: true, force: true }) };
}

function find() {
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((row) => row.startsWith(`${name}:`));
  const [, , uid, gid, , home = ''] = line?.split(':') ?? [];
  return line === undefined ? undefined : { name, uid: Number(uid), gid: Number(gid), home };
}

/** `useradd` gives a range on most systems; where it does not, the first free block of 65536 is taken. */
function ensureRange(file) {
  const rows = readRows(file);
  if (rows.some((row) => row.startsWith(`${name}:`))) {
    return;
  }
  const ends = rows.map((row) => row.split(':')).map(([, start, size]) => Number(start) + Number(size));
  appendFileSync(file, `${name}:${Math.max(100_000, ...ends.filter(Number.isFinite))}:65536\n`);
}

function readRows(file) {
  try {
    return readFileSync(file, 'utf8').split('\n').filter(Boolean);
  } catch (error) {
    if (error.code === 'ENOENT') {
      return [];
    }
    throw error;
  }
}
