/** A caller that dies while it writes the plan of a sandbox's mounts. */
import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

import { run } from '../../src/system/process.ts';

const stage = join(import.meta.dirname, '../../src/engines/oci/stage.pl');

describe('a plan of mounts that was cut', () => {
  const carryOut = (plan: string) =>
    run('perl', [stage, process.arch, String(process.pid), 'true'], { env: { PATH: '/usr/bin:/bin' }, input: plan });

  it.each(['', 'source\tempty\t/\n'])('never starts the runtime: %j', async (plan) => {
    const { exitCode, stderr } = await carryOut(plan);
    expect([exitCode, stderr.toString('utf8')]).toEqual([97, expect.stringContaining('plan: is not complete')]);
  });

  it('starts it when the last line is there', async () => {
    expect(await carryOut('source\tempty\t/\nend\n')).toMatchObject({ exitCode: 0 });
  });
});
