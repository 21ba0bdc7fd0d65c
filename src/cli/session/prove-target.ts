import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { Client } from '../../daemon/client.ts';
import type { Plan } from '../../sandbox/plan.ts';
import type { MakeRequest } from '../../sandbox/prepare.ts';
import type { Target } from '../../proof/probe.ts';
import { spawnProcess } from '../../system/process.ts';
import { runInside } from './run-inside.ts';
import { ownIdentity } from './session.ts';

/** The sandbox that a proof attacks: one that runs, or a throw-away one of the policy with an empty workspace. */
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

/** Goes with this process: it is the sandbox of a command that this process runs. */
export async function throwAwayTarget(client: Client, wish: Wish): Promise<ProveTarget> {
  const folder = await mkdtemp(join(tmpdir(), 'casemate-prove-'));
  const request = { cwd: folder, ...wish };
  try {
    const { plan } = await client.call('plan', request);
    const command = ['sleep', 'infinity'];
    const params = { ...request, workspace: folder, command, keep: false, tty: false, client: await ownIdentity() };
    const { sandbox, invocation } = await client.call('run', params);
    const child = spawnProcess(invocation.file, invocation.args, { env: { ...invocation.env }, stdio: 'ignore' });
    return {
      ...entriesOf(client, sandbox.name),
      plan,
      async remove() {
        child.kill('SIGKILL');
        await client.call('destroy', { name: sandbox.name });
        // Only now is nothing mounted from it any more.
        await rm(folder, { recursive: true, force: true });
      },
    };
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
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
