/** Kill -9 of whoever makes a sandbox, at many moments (LIF-06): what is left is listed, and one removal takes all of it away. */
import { readdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { spawnProcess } from '../../src/system/process.ts';
import { ociLab, ociLacks, type OciLab } from '../helpers/oci-lab.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

const fixture = resolve(import.meta.dirname, '../fixtures/create-sandbox.ts');
const steps = 16;
const stepMs = 18;

describe.skipIf(!engineOrSkip('oci', await ociLacks()))('whoever makes a sandbox is killed', () => {
  let lab: OciLab;

  beforeAll(async () => {
    lab = await ociLab();
  });
  afterAll(async () => {
    await lab.remove();
  });

  /** Kills the maker so many milliseconds after it began, or when it has finished; answers whether it had. */
  async function killed(argument: string, after: number | 'finished'): Promise<boolean> {
    const child = spawnProcess(process.execPath, [fixture, argument], {
      env: lab.options.env,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let said = '';
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
    const { promise: ended, resolve: end } = Promise.withResolvers<void>();
    child.stdout?.on('data', (piece: Buffer) => {
      said += piece.toString('utf8');
      begin();
    });
    child.once('close', () => end());
    await begun;
    await (after === 'finished' ? expect.poll(() => said, { timeout: 60_000 }).toContain('started') : sleep(after));
    child.kill('SIGKILL');
    await ended;
    return said.includes('started');
  }

  it('leaves nothing that a removal does not find, at any moment', async () => {
    const finished: boolean[] = [];
    for (let step = 0; step < steps; step += 1) {
      const base = await lab.spec();
      const spec = { ...base, workspace: { ...base.workspace, protect: ['.git/hooks', '.vscode', '.mcp.json'] } };
      finished.push(await killed(JSON.stringify({ options: lab.options, spec }), step < steps - 1 ? step * stepMs : 'finished'));
      const engine = lab.other();
      const left = await engine.list(lab.owner);
      const isKnown = left.some(({ id }) => id === spec.id);
      await engine.remove(spec.id);
      // What was still on its way would show itself by now.
      await sleep(60);
      const where = `killed after ${step * stepMs} ms, ${isKnown ? 'listed' : 'not listed'}`;
      expect(await engine.list(lab.owner), where).toEqual([]);
      expect(await readdir(spec.workspace.path), where).toEqual([]);
      expect(await runtimeState(), where).toEqual([]);
      expect(await groupsOf(spec.id), where).toEqual([]);
      await expect.poll(() => processesOf(spec.id), { message: where }).toEqual([]);
      expect(await readFile('/proc/self/mountinfo', 'utf8'), where).not.toContain(spec.id);
    }
    // both ends were met: a maker killed before it was done, and one that was done
    expect(new Set(finished)).toEqual(new Set([false, true]));
    // A file that was only half written is nobody's, and goes when the next daemon tidies up.
    await lab.other().tidy();
    expect(await readdir(join(lab.folder, 'state/slots')).catch(() => [])).toEqual([]);
  });

  it('lets the next one take over a sandbox that runs, with its listeners', async () => {
    const spec = await lab.spec();
    await killed(JSON.stringify({ options: lab.options, spec }), 'finished');
    const engine = lab.other();
    expect(await engine.list(lab.owner)).toEqual([{ id: spec.id, state: 'running' }]);
    const ingress = await engine.ingress(spec.id, { tcp: [80], udp: [53] });
    await ingress.close();
    expect((await engine.processes(spec.id)).length).toBe(1);
    await engine.remove(spec.id);
  });

  async function runtimeState(): Promise<readonly string[]> {
    return readdir(join(lab.folder, 'run/runc')).catch(() => []);
  }

  async function groupsOf(id: string): Promise<readonly string[]> {
    const controllers = await readdir('/sys/fs/cgroup').catch(() => []);
    const found = await Promise.all(
      controllers.map(async (name) =>
        (await readdir(join('/sys/fs/cgroup', name, 'casemate')).catch(() => [])).filter((group) => group === id),
      ),
    );
    return found.flat();
  }

  /** Processes whose arguments name the sandbox: runtimes, stages, listeners. */
  async function processesOf(id: string): Promise<readonly string[]> {
    const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
    const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => '')));
    return lines.filter((line) => line.includes(id));
  }
});
