import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, it } from 'vitest';

import { mountsOf } from '../../../src/engines/workspace/protections.ts';

it('says of a process that ends, and of one that is gone, that the sandbox has ended', async () => {
  const parent = spawn('perl', ['-e', '$| = 1; my $pid = fork; exit if $pid == 0; print "$pid\\n"; sleep 600']);
  try {
    const [line] = (await once(parent.stdout, 'data')) as [Buffer];
    // Not waited for by its parent: there without mounts and groups once it has ended, and running for a moment before.
    const ending = Number(line.toString());
    await expect
      .poll(() =>
        mountsOf(ending).then(
          () => 'there',
          (error: unknown) => error,
        ),
      )
      .toMatchObject({ code: 'SANDBOX_WRONG_STATE' });
    parent.kill('SIGKILL');
    await once(parent, 'exit');
    await expect(mountsOf(parent.pid ?? 0)).rejects.toMatchObject({ code: 'SANDBOX_WRONG_STATE' });
  } finally {
    parent.kill('SIGKILL');
  }
});
