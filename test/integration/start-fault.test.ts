/** Several callers find no daemon at the same time, and none can come up: each is told why. */
import { mkdir, readdir, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { removeOldFaults, startFaultPath } from '../../src/daemon/start-fault.ts';
import { run } from '../../src/system/process.ts';
import { makeHome, type Home } from '../helpers/cli.ts';

let home: Home;
beforeAll(async () => {
  home = await makeHome();
  await mkdir(home.paths.state, { recursive: true, mode: 0o700 });
  // A file where the journal's folder should be.
  await writeFile(join(home.paths.state, 'journal'), 'not a journal\n', { mode: 0o600 });
});
afterAll(async () => {
  await home.remove();
});

test('each caller names the journal, however they meet', async () => {
  for (let round = 0; round < 3; round += 1) {
    const outcomes = await Promise.all(Array.from({ length: 4 }, () => home.casemate(['ls'])));
    expect(outcomes.map(({ code }) => code)).toEqual([125, 125, 125, 125]);
    expect(outcomes.filter(({ err }) => !/journal/.test(err)).map(({ err }) => err)).toEqual([]);
  }
  // What was read is gone.
  expect((await readdir(home.paths.runtime)).filter((name) => name.startsWith('daemon-start-fault'))).toEqual([]);
}, 120_000);

test('a daemon that is started takes nothing away that another caller is about to read', async () => {
  const another = startFaultPath(home.paths, 1);
  await writeFile(another, '{}');
  expect((await home.casemate(['ls'])).code).toBe(125);
  expect((await stat(another)).size).toBe(2);
  await rm(another);
}, 60_000);

test('what nobody read goes after a minute, and not before', async () => {
  const [old, fresh] = [startFaultPath(home.paths, 1), startFaultPath(home.paths, 2)];
  await writeFile(old, '{}');
  await writeFile(fresh, '{}');
  const past = new Date(Date.now() - 120_000);
  await utimes(old, past, past);
  await removeOldFaults(home.paths, Date.now());
  expect((await readdir(home.paths.runtime)).filter((name) => name.startsWith('daemon-start-fault'))).toEqual([
    'daemon-start-fault-2.json',
  ]);
});

test('a damaged journal is the fault of this host, for whom the exit code 1 would be one of the command', async () => {
  await using damaged = await makeHome().then((one) => ({ ...one, [Symbol.asyncDispose]: one.remove }));
  const folder = join(damaged.paths.state, 'journal');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await writeFile(join(folder, 'journal-000001.jsonl'), 'no record\n', { mode: 0o600 });
  expect(await damaged.casemate(['run', '--', 'true'])).toMatchObject({ code: 125, err: expect.stringContaining('journal') });
  expect(await damaged.casemate(['journal', 'verify'])).toMatchObject({ code: 1, out: expect.stringMatching(/^not valid: /) });
  await rename(join(folder, 'journal-000001.jsonl'), join(folder, 'journal-000003.jsonl'));
  expect(await damaged.casemate(['journal', 'verify'])).toMatchObject({ code: 1, out: expect.stringMatching(/^not valid: /) });
}, 60_000);

test.each(['CASEMATE_HOME', 'CASEMATE_IMAGES'])('%s must be an absolute path: the daemon has another folder', async (name) => {
  const { code, err } = await home.casemate(['ls'], { env: { [name]: 'below/here' } });
  expect({ code, err }).toEqual({ code: 2, err: expect.stringContaining(`${name} is "below/here"`) });
});

test('a control socket whose path is too long is named, with what to do', async () => {
  const long = join(home.root, 'x'.repeat(107));
  const { code, err } = await home.casemate(['ls'], { env: { CASEMATE_HOME: long } });
  expect({ code, err }).toEqual({ code: 2, err: expect.stringMatching(/control socket.* 107 .*\n.*shorter path/) });
});

test.skipIf(process.getuid?.() !== 0)(
  '(needs root to mount) a disk with no room left is named by a start that finds it so',
  async () => {
    const full = join(home.root, 'full');
    await mkdir(full);
    const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' };
    expect((await run('mount', ['-t', 'tmpfs', '-o', 'size=256k,mode=0700', 'none', full], { env })).exitCode).toBe(0);
    try {
      await expect(writeFile(join(full, 'ballast'), Buffer.alloc(2 ** 20))).rejects.toMatchObject({ code: 'ENOSPC' });
      const { code, err } = await home.casemate(['ls'], { env: { CASEMATE_HOME: full } });
      expect({ code, err }).toEqual({ code: 125, err: expect.stringMatching(/^casemate: the disk or its quota is full/) });
    } finally {
      await run('umount', ['-l', full], { env });
    }
  },
  60_000,
);
