/** A caller that dies while it writes the plan of a sandbox's mounts, or before. */
import { describe, expect, it } from 'vitest';

import { startStage } from '../../src/engines/oci/stage.ts';

describe('a plan of mounts that was cut', () => {
  const carryOut = (plan: string) => startStage({ env: { PATH: '/usr/bin:/bin' }, machine: process.arch }).carryOut(plan);

  it('starts the runtime, and answers with its exit code, when it is whole', async () => {
    expect(await carryOut('source\tempty\t/\nbecome\tsh\t-c\texit 7\n')).toMatchObject({ exitCode: 7 });
  });

  it('starts nothing when its last line is not there', async () => {
    expect(await carryOut('')).toEqual({ exitCode: 0, stderr: '' });
    expect(await carryOut('source\tempty\t/\n')).toEqual({ exitCode: 0, stderr: '' });
  });

  it.each(['source\tempty\t/\nbecome\tsh\t-c\texit 7', 'sour'])('starts nothing from half a line: %j', async (plan) => {
    expect(await carryOut(plan)).toEqual({ exitCode: 97, stderr: 'casemate-stage: plan: is cut\n' });
  });
});

describe('a stage that waits', () => {
  it('ends when nobody will write its plan any more, and is known to have ended', async () => {
    const stage = startStage({ env: { PATH: '/usr/bin:/bin' }, machine: 'none' });
    expect(await stage.carryOut('')).toMatchObject({ exitCode: 97, stderr: 'casemate-stage: machine: is not supported\n' });
    expect(stage.hasEnded()).toBe(true);
  });

  it('says that its program is missing', async () => {
    const stage = startStage({ env: { PATH: '/nowhere' }, machine: 'x64' });
    await expect(stage.carryOut('')).rejects.toMatchObject({ code: 'TOOL_MISSING' });
  });

  it('is killed with whoever gave up waiting', async () => {
    const stopped = new AbortController();
    const going = startStage({ env: { PATH: '/usr/bin:/bin' }, machine: process.arch });
    const result = going.carryOut('become\tsleep\t60\n', { signal: stopped.signal });
    stopped.abort(new Error('enough'));
    await expect(result).rejects.toThrow('enough');
  });
});
