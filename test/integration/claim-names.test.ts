/** Who takes the names out of a workspace again that several sandboxes kept taken in it: the last of them, whatever happens at one moment. */
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { newSandboxId } from '../../src/base/ids.ts';
import { engineRecords, type EngineRecord, type Records } from '../../src/engines/records.ts';
import { changeRecord, claimNames, releaseNames } from '../../src/engines/workspace/claim-names.ts';

let folder: string;
let workspace: string;
let records: Records;
let other: Records;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'casemate-names-'));
  workspace = join(folder, 'work');
  await mkdir(workspace);
  [records, other] = [engineRecords(join(folder, 'one')), engineRecords(join(folder, 'two'))];
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

/** Of one engine, and the other engine beside it. */
const claims = (own: Records) => ({ records: own, beside: [own === records ? other : records] });

/** As an engine starts a sandbox there: the first finds no such name, and makes it. */
async function started(own: Records): Promise<string> {
  const limits = { memoryBytes: 1, cpus: 1, pids: 1, diskBytes: 1, fileBytes: 1, openFiles: 1 };
  const spec: EngineRecord['spec'] = {
    id: newSandboxId(),
    owner: 'o',
    hostname: 'h',
    runtime: 'runc',
    rootfs: '/r',
    workspace: { path: workspace, mode: 'direct', protect: ['.vscode'] },
    home: '/h',
    files: [],
    env: {},
    limits,
    waived: [],
  };
  const base: EngineRecord = { version: 1, spec, slot: undefined, protections: [], placeholders: [] };
  await own.add(base);
  await claimNames(claims(own), base);
  await mkdir(join(workspace, '.vscode'), { recursive: true });
  return spec.id;
}

/** As an engine removes one, whose record is the last that goes. */
async function removed(own: Records, id: string): Promise<void> {
  await releaseNames(claims(own), id, { writesRecord: false });
  await own.remove(id);
}

describe('names of a workspace', () => {
  it('go with the last sandbox', async () => {
    const [first, second] = [await started(records), await started(records)];
    await removed(records, first);
    expect(await readdir(workspace)).toEqual(['.vscode']);
    await removed(records, second);
    expect(await readdir(workspace)).toEqual([]);
  });

  it.each([
    ['of one engine', () => [records, records, records]],
    ['of two engines', () => [records, other, records]],
  ] as const)('go with sandboxes %s that are removed at one moment', async (_, owners) => {
    const all: [Records, string][] = [];
    for (const own of owners()) {
      all.push([own, await started(own)]);
    }
    // Each has more to take away before its record goes: no record has when the last of them looks at the workspace.
    await Promise.all(all.map(([own, id]) => releaseNames(claims(own), id, { writesRecord: false })));
    await Promise.all(all.map(([own, id]) => own.remove(id)));
    expect(await readdir(workspace)).toEqual([]);
    expect([await records.all(), await other.all()]).toEqual([[], []]);
  });

  it('stay where one that was to be removed is started again instead', async () => {
    const [first, second] = [await started(records), await started(records)];
    // Removed up to its record, which a disk in trouble keeps.
    await releaseNames(claims(records), second, { writesRecord: false });
    await claimNames(claims(records), await records.get(second));
    await removed(records, first);
    expect(await readdir(workspace)).toEqual(['.vscode']);
    await removed(records, second);
    expect(await readdir(workspace)).toEqual([]);
  });

  it('go with one that was being started again when they were handed over to it', async () => {
    const [first, second] = [await started(records), await started(records)];
    // Its container has ended; what is read of it here is written back later.
    const before = await records.get(second);
    await removed(records, first);
    const base = await changeRecord({ records }, second, (record) => ({ ...record, container: undefined }));
    expect(base.placeholders).toHaveLength(1);

    await claimNames(claims(records), before);
    await removed(records, second);
    expect(await readdir(workspace)).toEqual([]);
  });
});
