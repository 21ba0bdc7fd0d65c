import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { makeHome, type Home } from '../helpers/cli.ts';

/** SEC-01, SEC-16: a sealed value is in the memory of the daemon alone: not on disk, in no argument, variable, log or dump. */

const first = 'canary-first-4f1d7c0a9b';
const second = 'canary-second-8e2b6a5d3c';
/** stands where it must be found, or "not found" means nothing */
const control = 'canary-control-1a2b3c4d5e';

let home: Home;
beforeEach(async () => {
  home = await makeHome();
});
afterEach(async () => {
  await home.remove();
});

/** What goes away meanwhile is passed over. */
async function filesBelow(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const inner = await Promise.all(
    entries.map(async (entry) => {
      const path = join(folder, entry.name);
      return entry.isDirectory() ? await filesBelow(path) : entry.isFile() ? [path] : [];
    }),
  );
  return inner.flat();
}

/** Places where a text stands: files of the home, and arguments and variables of every process of this machine. */
async function sightings(text: string): Promise<readonly string[]> {
  const found: string[] = [];
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid);
  const processes = pids.flatMap((pid) => [`/proc/${pid}/environ`, `/proc/${pid}/cmdline`]);
  for (const path of [...(await filesBelow(home.root)), ...processes]) {
    const bytes = await readFile(path).catch(() => Buffer.alloc(0));
    if (bytes.includes(text) || bytes.includes(Buffer.from(text).toString('base64').slice(0, -4))) {
      found.push(path);
    }
  }
  return found;
}

async function daemonPid(): Promise<number> {
  const { out } = await home.casemate(['daemon', 'status', '--json']);
  return (JSON.parse(out) as { daemon: { pid: number } }).daemon.pid;
}

test('after a whole flow, a bad input and a crash of the daemon no file, argument or variable holds a value', async () => {
  const set = await home.casemate(['credentials', 'set', 'github', '--provider', 'bearer', '--host', `${control}.example`], {
    input: `${first}\n`,
  });
  expect(set).toMatchObject({ code: 0, err: '' });
  const refused = await home.casemate(['credentials', 'set', 'npm'], { input: `${first}\nsecond line\n` });
  expect(refused.code).toBe(125);
  const asArgument = await home.casemate(['credentials', 'set', 'npm', first]);
  expect(asArgument.code).toBe(2);
  await home.casemate(['credentials', 'rotate', 'github'], { input: second });
  const shown = await home.casemate(['credentials', 'ls', '--json']);
  await home.casemate(['credentials', 'revoke', 'github']);
  const pid = await daemonPid();
  const limits = await readFile(`/proc/${pid}/limits`, 'utf8');
  expect(limits).toMatch(/Max core file size\s+1\s+1\s/);
  process.kill(pid, 'SIGUSR1');
  await sleep(300);
  expect((await home.casemate(['daemon', 'status'])).code).toBe(0);
  process.kill(pid, 'SIGABRT');
  await expect.poll(async () => await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ''), { timeout: 30_000 }).toBe('');
  for (const value of [first, second]) {
    expect(await sightings(value)).toEqual([]);
    for (const { out, err } of [set, refused, asArgument, shown]) {
      expect(`${out}${err}`).not.toContain(value);
      expect(`${out}${err}`).not.toContain(value.slice(0, 16));
    }
  }
  expect((await sightings(control)).length).toBeGreaterThan(0);
  // Sealed, it is still there for the next daemon, and so is the revocation.
  const [view] = (JSON.parse((await home.casemate(['credentials', 'ls', '--json'])).out) as { name: string }[]).filter(
    ({ name }) => name === 'github',
  );
  expect(view).toMatchObject({ name: 'github', revoked: ['everywhere'], hosts: [`${control}.example`] });
}, 120_000);

test('a copy of the state folder alone opens nothing', async () => {
  await home.casemate(['credentials', 'set', 'github'], { input: first });
  const state = await filesBelow(home.paths.state);
  const key = (await readFile(join(home.paths.config, 'seal.key'), 'utf8')).trim();
  for (const path of state) {
    // A probe of the engine may have made and removed its file meanwhile.
    const bytes = await readFile(path).catch(() => Buffer.alloc(0));
    expect(bytes.includes(first) || bytes.includes(key) || bytes.includes(Buffer.from(key, 'hex'))).toBe(false);
  }
  expect(state.some((path) => path.endsWith('credentials.sealed'))).toBe(true);
}, 120_000);
