import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';

import type { Client } from '../../daemon/client.ts';
import type { Plan } from '../../sandbox/plan/plan.ts';
import { removeTree } from '../../system/remove-tree.ts';
import type { MakeRequest } from '../../sandbox/making/prepare.ts';
import { proofFolder } from '../../proof/lab/leftovers.ts';
import { giveToAgent } from '../../proof/lab/own-folder.ts';
import type { Target } from '../../proof/target.ts';
import { spawnProcess } from '../../system/process.ts';
import { runInside } from './run-inside.ts';
import { ownIdentity } from './session.ts';

/** The sandbox that a proof attacks: a running one, or a throw-away one under the policy with an empty workspace. */
export interface ProveTarget extends Target {
  readonly plan: Plan;
  readonly remove: () => Promise<void>;
}

export async function namedTarget(client: Client, name: string): Promise<ProveTarget> {
  const { plan } = await client.call('inspect', { name });
  return { ...entriesOf(client, name), plan, remove: () => Promise.resolve() };
}

/** Without a folder of its own the policy of the user holds, and no project's. */
type Wish = Omit<MakeRequest, 'cwd'> & { readonly cwd?: string };

/** Goes with this process: it is the sandbox of a command that this process runs. `given`: a workspace that is there. */
export async function throwAwayTarget(client: Client, wish: Wish, given?: string): Promise<ProveTarget> {
  const folder = await proofFolder();
  const workspace = given ?? join(folder, 'work');
  const request = { cwd: folder, ...wish };
  try {
    await mkdir(workspace, { recursive: true });
    const { plan } = await client.call('plan', request);
    await giveToAgent(workspace, plan);
    const command = ['sleep', 'infinity'];
    const params = { ...request, workspace, command, keep: false, tty: false, client: await ownIdentity() };
    const { sandbox, invocation } = await client.call('run', params);
    const child = spawnProcess(invocation.file, invocation.args, { env: { ...invocation.env }, stdio: 'ignore' });
    // Where it cannot be started the sandbox is there all the same, and is removed as ever.
    child.on('error', () => undefined);
    return {
      ...entriesOf(client, sandbox.name),
      plan,
      async remove() {
        child.kill('SIGKILL');
        await client.call('destroy', { name: sandbox.name });
        // Only now is nothing mounted from it any more.
        await removeTree(folder);
      },
    };
  } catch (error) {
    await removeTree(folder);
    throw error;
  }
}

function entriesOf(client: Client, name: string): Target {
  return {
    name,
    plan: undefined,
    inside: (command, options) => runInside(client, { name, command, ...options }),
    processes: async () => (await client.call('processes', { name })).pids,
  };
}
