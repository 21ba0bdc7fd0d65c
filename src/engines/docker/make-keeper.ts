import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import type { ProcessIdentity } from '../../system/process-identity.ts';
import type { SandboxSpec } from '../engine.ts';
import { bodyFacts } from './body-facts.ts';
import { keeperBody, keeperMounts, type ContainerBody } from './container-bodies.ts';
import { makeContainer, startContainer } from './containers.ts';
import { firstProcessIn } from './first-process.ts';
import type { DockerContext } from './context.ts';
import { kernelOf } from './kernel/kernel-of.ts';
import { labels } from './labels.ts';
import { kernelFaults } from './read-back.ts';
import { fieldsOf } from './read-json.ts';
import { kernelVariable } from './kernel/elsewhere.ts';
import { containerNames } from './remove-containers.ts';
import { uplinkVariable } from './uplink/forced.ts';
import { requireSamePlaces } from './same-places.ts';
import { mountsIn } from '../workspace/protections.ts';
import { uplinkBody, volumeBody, uplinkMount, volumeOf } from './uplink/bodies.ts';

/** Makes the container that holds a sandbox's network: started, and inspected before anything joins it. */

/** It runs, and is what was asked for. Answers the id of its container. */
export async function makeKeeper(context: DockerContext, spec: SandboxSpec, image: string): Promise<string> {
  const facts = await bodyFacts(context, spec, image);
  const { uplink } = await context.way();
  if (uplink !== undefined) {
    await context.client.must('POST', '/volumes/create', { body: volumeBody(facts.marks) });
  }
  const mounts = keeperMounts(context.sandbox(spec.id).uplink);
  const shown = uplink === undefined ? mounts : [uplinkMount(spec.id, 'read')];
  const keeper = keeperBody(facts, { hostname: spec.hostname, mounts: shown });
  const [, name] = containerNames(spec.id);
  const id = await makeContainer(context, name, keeper);
  await startContainer(context, id);
  const { pid } = await requireAsAsked(context, id, keeper);
  // Its folder is the first that the engine shows: one that has another there sees other files than this host.
  await (uplink === undefined
    ? requireSamePlaces(mountsIn(await (await kernelOf(context)).read(pid, 'mountinfo')), mounts)
    : makeUplink(context, uplinkBody(facts, uplink)));
  return id;
}

async function makeUplink(context: DockerContext, body: ContainerBody): Promise<void> {
  const id = await makeContainer(context, volumeOf(body.Labels[labels.sandbox] ?? ''), body);
  await startContainer(context, id);
  await requireAsAsked(context, id, body);
}

/** Throws `ENGINE_FAILED` where the engine or the kernel says another thing of a running container than what was asked for. */
export async function requireAsAsked(context: DockerContext, id: string, body: ContainerBody): Promise<ProcessIdentity> {
  const { told, differences } = await (await context.dialect()).look(id, body);
  const init = await firstProcessIn(context, told);
  if (init === undefined) {
    const isElsewhere = fieldsOf(fieldsOf(told)['State'])['Running'] === true;
    const why = isElsewhere ? 'runs where this host does not see it' : 'ended at once';
    throw new CasemateError('ENGINE_FAILED', `the first process of a container ${why}`, {
      hint: isElsewhere
        ? `Of an engine on another machine with the very release of this kernel: set ${kernelVariable}=other and ${uplinkVariable} where the daemon is started.`
        : undefined,
    });
  }
  const [kernel, { userNamespace }] = await Promise.all([kernelOf(context), context.facts()]);
  const maps = userNamespace ? (['uid_map', 'gid_map'] as const).map((file) => kernel.read(init.pid, file)) : [];
  const faults = [...differences, ...kernelFaults(await kernel.read(init.pid, 'status'), body.User, await Promise.all(maps))];
  if (faults.length > 0) {
    throw new CasemateError(
      'ENGINE_FAILED',
      `the engine made a container other than asked: ${faults.slice(0, 8).map(visible).join(', ')}`,
    );
  }
  return init;
}
