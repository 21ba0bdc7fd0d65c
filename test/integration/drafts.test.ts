import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { removeDrafts, replaceFile, writeDurably, writeNew } from '../../src/system/files.ts';
import { run } from '../../src/system/process.ts';
import { identifyProcess } from '../../src/system/process-identity.ts';
import type { FaultPlan } from '../faults/fault-plan.ts';

/** Files that are written beside their place first: what a killed writer left goes, what is being written stays. */

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'casemate-drafts-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

test('a file that is made anew is whole, private, and made by one of those who try', async () => {
  const path = join(folder, 'one');
  const tries = await Promise.allSettled(['a', 'b', 'c'].map((text) => writeNew(path, text)));
  expect(tries.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  expect(tries.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { code: 'EEXIST' } });
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  await replaceFile(path, 'd');
  await writeDurably(path, 'e');
  expect([await readFile(path, 'utf8'), await readdir(folder)]).toEqual(['e', ['one']]);
});

test('drafts of the dead are removed, and nothing else', async () => {
  const { startTicks } = (await identifyProcess(process.pid)) ?? { startTicks: '' };
  const alive = `.one.${process.pid}-${startTicks}.0123456789ab`;
  // One of a number above what the kernel gives out, and one whose number is another's by now.
  const dead = ['.one.4194305-1.0123456789ab', `.one.${process.pid}-1.0123456789ab`];
  const others = ['.one', '.one.4194305-1', '.one.4194305-1.0123456789abc', 'one.4194305-1.0123456789ab', alive];
  await Promise.all([...dead, ...others].map((name) => writeFile(join(folder, name), '')));
  await removeDrafts(folder);
  expect((await readdir(folder)).toSorted()).toEqual(others.toSorted());
  await removeDrafts(join(folder, 'missing'));
});

test('what is written stands although its draft cannot be removed', async () => {
  const hits = await writeOneWith({ at: 1, lasting: true, only: 'fs.unlinkSync ' });
  expect(hits.length).toBeGreaterThan(0);
  expect(hits.every((hit) => / fail fs\.unlinkSync .*\/\.one\./.test(hit))).toBe(true);
  expect(await readFile(join(folder, 'one'), 'utf8')).toBe('a');
});

test('a draft that could not be removed for a moment does not stay for as long as its writer lives', async () => {
  expect(await writeOneWith({ at: 4 })).toEqual([expect.stringMatching(/ 4 fail fs\.unlinkSync .*\/\.one\./)]);
  expect((await readdir(folder)).toSorted()).toEqual(['faults', 'one']);
});

/** Another process writes the file `one`, and its disk fails so. Answers the points it failed at. */
async function writeOneWith(fault: Omit<FaultPlan, 'act'>): Promise<readonly string[]> {
  const faults = join(folder, 'faults');
  await mkdir(faults);
  await writeFile(join(faults, 'caller.json'), JSON.stringify({ from: 'start', act: 'fail', ...fault } satisfies FaultPlan));
  const source = (path: string): string => new URL(path, import.meta.url).href;
  const program = `import { writeNew } from '${source('../../src/system/files.ts')}'; await writeNew('${join(folder, 'one')}', 'a');`;
  const hook = `${source('../faults/hook.ts')}?folder=${faults}`;
  const env = { PATH: '/usr/bin:/bin' };
  const ended = await run(process.execPath, ['--import', hook, '--input-type=module', '--eval', program], { env });
  expect([ended.exitCode, ended.stderr.toString()]).toEqual([0, '']);
  return (await readFile(join(faults, 'hits'), 'utf8')).trimEnd().split('\n');
}
