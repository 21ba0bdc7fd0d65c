/** Where a caller's project lies is judged on the folder that will be mounted, after links, and not on the one that was named. */
import { mkdir, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';

import { sandboxLab, type Lab } from '../helpers/sandbox-lab.ts';

let lab: Lab;
beforeEach(async () => {
  lab = await sandboxLab();
});
afterEach(async () => {
  await lab.remove();
});

it('a folder that was swapped for a link out of the roots after it was looked at is refused', async () => {
  const [root, other] = [join(lab.root, 'root'), join(lab.root, 'other')];
  const project = join(root, 'project');
  await Promise.all([mkdir(project, { recursive: true }), mkdir(other)]);
  const prepare = () => lab.sandboxes.prepare({ cwd: project, workspace: project, mustLieIn: [root] });
  expect((await prepare()).plan.workspace.path).toBe(project);
  await rm(project, { recursive: true });
  await symlink(other, project);
  await expect(prepare()).rejects.toMatchObject({ code: 'NOT_ALLOWED' });
});
