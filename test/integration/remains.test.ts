/** Which processes a proof takes for rests of a sandbox that was destroyed. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { eventually } from '../../src/proof/eventually.ts';
import { namespaceOf } from '../../src/proof/host-view.ts';
import type { LabPlaces } from '../../src/proof/lab/lab.ts';
import { broughtTo, remainsOf, ticksNow } from '../../src/proof/outside/remains.ts';

let folder: string;
let places: LabPlaces;
const children: ChildProcess[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'casemate-remains-'));
  const place = (name: string): string => join(folder, name);
  places = { state: place('state'), runtime: place('runtime'), config: place('config') };
  await Promise.all(Object.values({ ...places }).map((path) => mkdir(path)));
});

afterEach(async () => {
  children.splice(0).forEach((child) => child.kill('SIGKILL'));
  await rm(folder, { recursive: true });
});

/** In a namespace of the number that the destroyed one had: that of this test. */
async function begin(): Promise<number> {
  const child = spawn('sleep', ['600'], { stdio: 'ignore' });
  children.push(child);
  await once(child, 'spawn');
  return child.pid ?? 0;
}

/** Times of processes have steps of a tick. */
async function nextTick(): Promise<void> {
  const now = await ticksNow();
  await eventually(async () => ((await ticksNow()) > now + 1 ? true : undefined));
}

async function isRest(pid: number, ticks: number): Promise<boolean> {
  const namespaces = [await namespaceOf('self', 'net')];
  const traces = { names: ['of-nobody'], words: [], namespaces, groups: [], slotFile: undefined };
  const rests = await remainsOf({ places }, traces, ticks);
  return rests.some((line) => line.startsWith(`process ${pid}: `));
}

test('whoever was there before a sandbox ended is a rest of it', async () => {
  const pid = await begin();
  const { ticks } = await broughtTo(nextTick, true);
  expect(await isRest(pid, ticks)).toBe(true);
});

test('whoever began while it ended is none: numbers of its namespaces are given away again', async () => {
  const { result: pid, ticks } = await broughtTo(async () => {
    await nextTick();
    return begin();
  }, true);
  await nextTick();
  expect(await isRest(pid, ticks)).toBe(false);
});

test('whoever began in it before it was destroyed as it ran is a rest of it', async () => {
  const { result: pid, ticks } = await broughtTo(async () => {
    await nextTick();
    return begin();
  }, false);
  expect(await isRest(pid, ticks)).toBe(true);
});

test('whoever began after it was destroyed is none', async () => {
  const { ticks } = await broughtTo(() => Promise.resolve(), false);
  await nextTick();
  expect(await isRest(await begin(), ticks)).toBe(false);
});
