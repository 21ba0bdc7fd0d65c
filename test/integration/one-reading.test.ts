import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';

import { createCalls } from '../../src/daemon/calls.ts';
import { createTimers } from '../../src/daemon/timers.ts';
import type { Share } from '../../src/policy/share.ts';
import { createSandboxes } from '../../src/sandbox/sandboxes.ts';
import { sandboxLab, wideShare } from '../helpers/sandbox-lab.ts';

it('what all sandboxes may take is read once for a new one, with the policy, and apart where that is another', async () => {
  const lab = await sandboxLab();
  const project = join(lab.root, 'user/project');
  await mkdir(project);
  const read: (Share | undefined)[] = [];
  const context = {
    ...lab.context,
    async share(given?: Share) {
      read.push(given);
      return wideShare;
    },
  };
  const sandboxes = createSandboxes(context);
  const timers = createTimers({ context, sandboxes, log: () => undefined });
  const calls = createCalls({ context, sandboxes, timers, status: async () => ({}) as never, shutdown: async () => [] });
  const call = { ask: async () => undefined, progress: () => undefined, onLost: () => undefined };
  await calls.create({ cwd: project, workspace: project }, call);
  expect(read).toMatchObject([{ callers: wideShare.callers, eachCaller: wideShare.eachCaller }]);
  read.splice(0);
  await calls.create({ cwd: project, workspace: project, userPolicyFolder: join(lab.root, 'other') }, call);
  expect(read).toEqual([undefined]);
  await lab.remove();
});
