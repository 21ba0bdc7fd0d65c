import type { ProcessIdentity } from '../../system/process-identity.ts';
import { firstPid, firstPidIn, partOf } from './containers.ts';
import type { DockerContext } from './context.ts';
import { kernelOf } from './kernel/kernel-of.ts';
import type { RunningSandbox } from './running-sandbox.ts';

/** The process that a container is alive by. */

/** Its first process, while it runs. */
export async function firstProcess(context: DockerContext, id: string): Promise<ProcessIdentity | undefined> {
  const pid = await firstPid(context, id);
  return pid === undefined ? undefined : (await kernelOf(context)).identify(pid);
}

/** `told`: answer to `inspect`. */
export async function firstProcessIn(context: DockerContext, told: unknown): Promise<ProcessIdentity | undefined> {
  const pid = firstPidIn(told);
  return pid === undefined ? undefined : (await kernelOf(context)).identify(pid);
}

/**
 * The sandbox's own container while it runs. The engine is asked once for each start: a first process is of one container for
 * as long as it lives, and the kernel says whether it does.
 */
export async function runningSandbox(context: DockerContext, id: string): Promise<RunningSandbox | undefined> {
  const known = context.running.get(id);
  if (known !== undefined && (await (await kernelOf(context)).isSame(known.init))) {
    return known;
  }
  context.running.delete(id);
  const sandbox = await partOf(context, id, 'sandbox');
  const init = sandbox === undefined ? undefined : await firstProcess(context, sandbox.id);
  if (sandbox === undefined || init === undefined) {
    return undefined;
  }
  const found = { container: sandbox.id, init };
  context.running.set(id, found);
  return found;
}
