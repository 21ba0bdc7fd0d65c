/** Commands whose runtime was killed: nobody waits for them, so they are ended; those that somebody waits for go on. */
import { readFile, rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { ChildProcess } from 'node:child_process';

import type { SandboxSpec } from '../../src/engines/engine.ts';
import { spawnProcess } from '../../src/system/process.ts';
import { processesNaming } from '../../src/system/processes-naming.ts';
import { makeHome, ways, wholeWayLacks, type Home } from '../helpers/cli.ts';
import { ociLab, ociLacks, type OciLab } from '../helpers/oci-lab.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

/** Processes of the host that sleep for exactly so long, whichever namespace they are in: for a time that is no process id. */
const sleepers = async (seconds: string): Promise<number> => (await processesNaming(seconds)).length;

describe.skipIf(!engineOrSkip('oci', await ociLacks()))('a command whose runtime is dead', () => {
  let lab: OciLab;
  let spec: SandboxSpec;
  let executions = 0;

  beforeAll(async () => {
    lab = await ociLab();
    spec = await lab.started();
  });
  afterAll(async () => {
    await lab.remove();
  });

  /** The runtime of a command that sleeps so long, once it does. */
  async function begun(seconds: string): Promise<{ runtime: ChildProcess; pidFile: string }> {
    executions += 1;
    const { file, args, env, pidFile } = await lab.engine.attach(spec.id, {
      command: ['sleep', seconds],
      tty: false,
      executionId: `l${executions}`,
    });
    const runtime = spawnProcess(file, args, { env: { ...env }, stdio: 'ignore' });
    await expect.poll(() => sleepers(seconds), { timeout: 30_000 }).toBe(1);
    await expect.poll(() => readFile(pidFile, 'utf8').catch(() => ''), { timeout: 30_000 }).not.toBe('');
    return { runtime, pidFile };
  }

  it('is ended, also where nobody knows its number, and those of living runtimes and what they left go on', async () => {
    const kept = await begun('7301.5');
    const lost = await begun('7302.5');
    await lab.inside(spec.id, ['sh', '-c', 'sleep 7303.5 > /dev/null 2>&1 &']);
    await rm(lost.pidFile);
    lost.runtime.kill('SIGKILL');
    await sleep(200);
    expect(await sleepers('7302.5')).toBe(1);
    await lab.engine.endOrphans(spec.id);
    await expect.poll(() => sleepers('7302.5')).toBe(0);
    expect([await sleepers('7301.5'), await sleepers('7303.5')]).toEqual([1, 1]);
    kept.runtime.kill('SIGKILL');
  });
});

describe.skipIf(!engineOrSkip('oci', await wholeWayLacks())).each(ways)('a command in a sandbox that is kept, by %s', (way) => {
  let home: Home;

  beforeAll(async () => {
    home = await makeHome(way);
    await home.casemate(['create', 'kept']);
    expect(await home.casemate(['start', 'kept'])).toMatchObject({ code: 0 });
  });
  afterAll(async () => {
    await home.remove();
  });

  it('does not go on when its runtime was killed and its end is on record', async () => {
    const running = home.casemate(['exec', 'kept', '--', 'sh', '-c', 'sleep 7304.5; echo never']);
    await expect.poll(() => sleepers('7304.5'), { timeout: 30_000 }).toBe(1);
    const [row] = JSON.parse((await home.casemate(['ls', '--json'])).out);
    const runtimes = (await processesNaming(row.id)).map(async (pid) => ({
      pid,
      words: await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => ''),
    }));
    const runtime = (await Promise.all(runtimes)).find(({ words }) => words.includes('\0exec\0'));
    // Never 0: that would be this test and all with it.
    process.kill(runtime?.pid ?? expect.fail('no runtime was found'), 'SIGKILL');
    expect(await running).toMatchObject({ code: 137, out: '' });
    await expect.poll(() => sleepers('7304.5')).toBe(0);
  });
});
