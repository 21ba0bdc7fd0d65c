/** What the engine writes down of its sandboxes: whole or not at all, one id once, one range of ids for one sandbox. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { newSandboxId } from '../../src/base/ids.ts';
import { ociEngine } from '../../src/engines/oci/engine.ts';
import { slotCount } from '../../src/engines/oci/ids.ts';
import { engineRecords, type EngineRecord } from '../../src/engines/records.ts';
import { idSlots } from '../../src/engines/oci/slots.ts';
import { identifyProcess } from '../../src/system/process-identity.ts';

let folder: string;
/** a process that is no more: its number is above what the kernel gives out (pid_max is 4194304 at most) */
const dead = '4194305-1';

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'casemate-records-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

function record(id = newSandboxId()): EngineRecord {
  const limits = { memoryBytes: 1, cpus: 1, pids: 1, diskBytes: 1, fileBytes: 1, openFiles: 1 };
  const workspace = { path: '/work', mode: 'direct' as const, protect: [] };
  const spec = {
    id,
    owner: 'o',
    hostname: 'h',
    runtime: 'runc' as const,
    rootfs: '/r',
    workspace,
    home: '/h',
    files: [],
    env: {},
    limits,
    waived: [],
  };
  return { version: 1, spec, slot: 1, protections: [], placeholders: [] };
}

describe('records of sandboxes', () => {
  it('come back as they were written, and are gone when removed', async () => {
    const records = engineRecords(join(folder, 'records'));
    const first = record();
    await records.add(first);
    expect(await records.read(first.spec.id)).toEqual(first);
    await records.replace({ ...first, slot: 2 });
    expect(await records.all()).toEqual([{ ...first, slot: 2 }]);
    await records.remove(first.spec.id);
    expect(await records.all()).toEqual([]);
    expect(await readdir(join(folder, 'records'))).toEqual([]);
  });

  it('take an id once, also when many try at the same moment', async () => {
    const records = engineRecords(join(folder, 'records'));
    const one = record();
    const results = await Promise.allSettled(Array.from({ length: 8 }, async () => records.add(one)));
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(results.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { code: 'SANDBOX_WRONG_STATE' } });
  });

  it.each(['{', '[]', '{"version":9}'])('say which file is broken: %j', async (text) => {
    const records = engineRecords(join(folder, 'records'));
    const one = record();
    await records.add(one);
    const file = join(folder, 'records', `${one.spec.id}.json`);
    await writeFile(file, text);
    await expect(records.get(one.spec.id)).rejects.toMatchObject({
      code: 'STORE_FAILED',
      message: expect.stringContaining(file),
    });
  });
});

describe('a draft of a record', () => {
  it('goes where its writer was killed, and stays where it still writes', async () => {
    const records = engineRecords(join(folder, 'records'));
    await records.add(record());
    const [kept = ''] = await readdir(join(folder, 'records'));
    await writeFile(join(folder, `records/.${newSandboxId()}.json.${dead}.0123456789ab`), '{');
    const { startTicks = '' } = (await identifyProcess(process.pid)) ?? {};
    const beingWritten = `.${newSandboxId()}.json.${process.pid}-${startTicks}.0123456789ab`;
    await writeFile(join(folder, 'records', beingWritten), '{');
    await records.tidy();
    expect((await readdir(join(folder, 'records'))).toSorted()).toEqual([beingWritten, kept]);
  });
});

describe('a record that never reached the disk', () => {
  it('counts as none, and its id can be removed', async () => {
    const records = engineRecords(join(folder, 'records'));
    const one = record();
    await records.add(one);
    await writeFile(join(folder, 'records', `${one.spec.id}.json`), '');
    expect(await records.all()).toEqual([]);
    expect(await records.read(one.spec.id)).toBeUndefined();
  });
});

describe('ranges of ids', () => {
  it('are given to one sandbox at a time, lowest free one from a place of this installation on', async () => {
    const slots = idSlots(join(folder, 'slots'), async () => true);
    const taken = await Promise.all(Array.from({ length: 12 }, async (_, index) => slots.take(`cm-${index}`)));
    expect(new Set(taken).size).toBe(12);
    expect(taken.every((slot) => slot >= 0 && slot < slotCount)).toBe(true);
    const [first = 0] = taken;
    await slots.free(first, 'somebody-else');
    expect(await readFile(join(folder, 'slots', String(first)), 'utf8')).toBe('cm-0');
    await slots.free(first, 'cm-0');
    expect(await slots.take('cm-new')).toBe(first);
  });

  it('are taken over from a sandbox that has no record any more', async () => {
    const first = await idSlots(join(folder, 'slots'), async () => true).take('cm-dead');
    expect(await idSlots(join(folder, 'slots'), async (id) => id !== 'cm-dead').take('cm-new')).toBe(first);
  });

  it('are not taken over from one that is being made and has no record yet', async () => {
    await idSlots(join(folder, 'slots'), async () => true).take('cm-dead');
    const slots = idSlots(join(folder, 'slots'), async () => false);
    const first = await slots.take('cm-first');
    const others = await Promise.all(['cm-second', 'cm-third', 'cm-fourth'].map(slots.take));
    expect(new Set([first, ...others]).size).toBe(4);
    await slots.free(first, 'cm-first');
    expect(await slots.take('cm-fifth')).toBe(first);
  });

  it('stay with who took one over while the sandbox before it was still giving it back', async () => {
    const path = join(folder, 'slots');
    // The window is some hundred microseconds wide.
    for (let round = 0; round < 400; round += 1) {
      const slot = await idSlots(path, async () => true).take('cm-before');
      const slots = idSlots(path, async () => false);
      const freed = async (): Promise<void> => {
        for (let step = 0; step < round % 6; step += 1) {
          await readFile('/proc/self/comm');
        }
        await slots.free(slot, 'cm-before');
      };
      const [taken] = await Promise.all([slots.take('cm-after'), freed()]);
      expect(await readFile(join(path, String(taken)), 'utf8').catch(() => 'nobody')).toBe('cm-after');
      await slots.free(taken, 'cm-after');
      await slots.tidy();
    }
  });

  it('are free again at the next beginning, where a kill came before the record or after it, or in the middle of the claim', async () => {
    const known = await idSlots(join(folder, 'slots'), async () => true).take('cm-known');
    const isKnown = async (id: string): Promise<boolean> => id === 'cm-known';
    await idSlots(join(folder, 'slots'), async () => true).take('cm-lost');
    // Not its own, wherever this installation begins.
    await writeFile(join(folder, 'slots', String((known + 7) % slotCount)), '');
    await writeFile(join(folder, `slots/.9.${dead}.0123456789ab`), 'cm-never');
    const slots = idSlots(join(folder, 'slots'), isKnown);
    await slots.tidy();
    expect(await readdir(join(folder, 'slots'))).toEqual([String(known)]);
  });
});

describe('names the engine is given', () => {
  const engine = () =>
    ociEngine({
      folders: { state: join(folder, 'state'), run: join(folder, 'run') },
      env: { PATH: '/usr/bin:/bin' },
      user: { uid: 0, gid: 0, name: 'root' },
    });

  it.each(['', '../x', 'cm-../../../etc', 'cm-0123456789ABCDEF', '-u'])(
    'are refused when they are no id of ours: %j',
    async (id) => {
      await expect(engine().create({ ...record().spec, id })).rejects.toMatchObject({ code: 'NAME_INVALID' });
      expect(await readdir(folder)).toEqual([]);
    },
  );

  it.each(['', '../../x', 'a b', '--x/y'])('are refused when they name an execution badly: %j', async (executionId) => {
    await expect(engine().attach(newSandboxId(), { command: ['true'], tty: false, executionId })).rejects.toMatchObject({
      code: 'NAME_INVALID',
    });
  });

  it('are refused when no runtime has them', async () => {
    await expect(engine().examine('docker')).rejects.toMatchObject({
      code: 'ENGINE_FAILED',
      message: expect.stringContaining('docker'),
    });
  });
});
