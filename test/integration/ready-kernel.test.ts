/** gVisor's kernel that waits for its sandbox: what it has open before, what it shows then, and that nothing of it stays behind. */
import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import type { SandboxSpec } from '../../src/engines/engine.ts';
import { engineLayout } from '../../src/engines/oci/folders.ts';
import { requireUnopened } from '../../src/engines/oci/gvisor/held-kernel.ts';
import { emptyJson } from '../../src/engines/workspace/cover-files.ts';
import { engineRecords, type EngineRecord } from '../../src/engines/records.ts';
import { identifyProcess, type ProcessIdentity } from '../../src/system/process-identity.ts';
import { ociLab, ociLacks, uid, type OciLab } from '../helpers/oci-lab.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

const lacks = uid === 0 ? await ociLacks('runsc') : 'only root has kernels made ahead';

describe.skipIf(!engineOrSkip('runsc', lacks))('a kernel of gVisor that is made ahead', { timeout: 120_000 }, () => {
  let lab: OciLab;
  const folderOf = (path: string): Promise<readonly string[]> => readdir(join(lab.folder, path)).catch(() => []);
  const records = () => engineRecords(engineLayout(lab.options.folders).records);
  const initOf = async (id: string): Promise<number> =>
    JSON.parse(await readFile(join(lab.folder, 'run/sandboxes', id, 'init.json'), 'utf8')).pid;

  beforeEach(async () => {
    lab = await ociLab('runsc', { prepares: true });
  });
  afterEach(async () => {
    await lab.remove();
    expect(await Promise.all(['state/sandboxes', 'state/slots', 'run/sandboxes'].map(folderOf))).toEqual([[], [], []]);
  });

  /** The one that waits, once the stage says so. */
  async function madeReady(changes: Partial<SandboxSpec> = {}): Promise<EngineRecord> {
    const spec = await lab.spec(changes);
    await lab.engine.create(spec);
    await lab.engine.remove(spec.id);
    const ready = async () => (await records().all()).find((record) => record.ready === true);
    const waits = async () =>
      await readFile(join(lab.folder, 'run/sandboxes', (await ready())?.spec.id ?? '-', 'kernel.pid'), 'utf8');
    await expect.poll(() => waits().catch(() => ''), { timeout: 60_000 }).not.toBe('');
    return (await ready()) as EngineRecord;
  }

  async function next(changes: Partial<SandboxSpec> = {}): Promise<SandboxSpec> {
    const base = await lab.spec(changes);
    const spec = { ...base, workspace: { ...base.workspace, protect: ['.git/hooks', '.mcp.json'] } };
    await writeFile(join(spec.workspace.path, 'file'), 'work');
    await lab.engine.create(spec);
    await lab.engine.start(spec.id);
    return spec;
  }

  it('becomes the next sandbox, with that one’s mounts and protections, and goes with it', async () => {
    const ready = await madeReady();
    const keeper = await initOf(ready.spec.id);
    const mounts = await readFile(`/proc/${keeper}/mountinfo`, 'utf8');
    expect(mounts).not.toMatch(/work-|home-/);
    const spec = await next({ env: { PATH: '/usr/bin:/bin', MARK: 'm' } });
    expect((await records().get(spec.id)).container).toBe(ready.spec.id);
    expect((await lab.engine.processes(spec.id))[0]).toBe(keeper);
    const script =
      'hostname; cat file /etc/resolv.conf; echo; echo $MARK; mkdir -p .git/hooks && touch .git/hooks/x; echo x > .mcp.json; cat .mcp.json; touch made ~/made; stat -c %u made ~/made';
    const { out } = await lab.inside(spec.id, ['sh', '-c', script]);
    expect(out).toBe(`sandbox\nworknameserver 127.0.0.1\n\nm\n${emptyJson}1000\n1000\n`);
    expect((await readdir(spec.workspace.path)).toSorted()).toContain('made');
    // What the host writes later is seen, and what of gVisor's is ended first has its score.
    await writeFile(join(spec.workspace.path, 'later'), 'new');
    expect((await lab.inside(spec.id, ['cat', 'later'])).out).toBe('new');
    // A program that carried a command may be on its way out.
    const scores = async () =>
      new Set(
        await Promise.all(
          (await lab.engine.processes(spec.id)).map((pid) => readFile(`/proc/${pid}/oom_score_adj`, 'utf8').catch(() => 'gone')),
        ),
      );
    await expect.poll(scores).toEqual(new Set(['500\n']));
    expect(await lab.engine.stats(spec.id)).toMatchObject({ pids: expect.any(Number) });
    await lab.engine.stop(spec.id, { graceMs: 500 });
    await lab.engine.start(spec.id);
    expect((await records().get(spec.id)).container).toBeUndefined();
    expect((await lab.inside(spec.id, ['cat', 'file'])).out).toBe('work');
    await lab.engine.remove(spec.id);
    expect((await readdir(spec.workspace.path)).toSorted()).toEqual(['file', 'later', 'made']);
  });

  it('is given to nobody whose workspace is of another kind: gVisor was told whether it is written', async () => {
    await madeReady();
    const base = await lab.spec();
    const spec = { ...base, workspace: { ...base.workspace, mode: 'readonly' as const } };
    await lab.engine.create(spec);
    await lab.engine.start(spec.id);
    expect((await records().get(spec.id)).container).toBeUndefined();
    expect((await lab.inside(spec.id, ['touch', 'made'])).code).not.toBe(0);
    await lab.engine.remove(spec.id);
  });

  it('is not kept where it has opened what is mounted before its time', async () => {
    const spec = await next();
    const keeper = (await identifyProcess(await initOf(spec.id))) as ProcessIdentity;
    await expect(requireUnopened(spec, keeper)).rejects.toThrow('gVisor has opened /workspace, /home/agent');
    await lab.engine.remove(spec.id);
  });
});
