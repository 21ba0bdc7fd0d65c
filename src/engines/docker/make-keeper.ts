import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import type { ProcessIdentity } from '../../system/process-identity.ts';
import type { SandboxSpec } from '../engine.ts';
import { keeperBody, keeperMounts, type BodyFacts, type ContainerBody } from './container-bodies.ts';
import { firstProcessIn, makeContainer, startContainer } from './containers.ts';
import type { DockerContext } from './context.ts';
import { labels } from './labels.ts';
import { idMaps, kernelFaults, kernelStatus } from './read-back.ts';
import { fieldsOf } from './read-json.ts';
import { containerNames } from './remove-containers.ts';
import { requireSamePlaces } from './same-places.ts';
import { uplinkBody, volumeBody, volumeMount, volumeOf } from './uplink/bodies.ts';

/** What holds the network of a sandbox: started, and looked at before anything joins it. */

/** The first process, which only waits: nobody's, so that the agent can neither signal nor read it. */
const nobody = '65534:65534';

/** It runs, and is what was asked for. Answers the id of its container. */
export async function makeKeeper(context: DockerContext, spec: SandboxSpec, image: string): Promise<string> {
  const facts = await bodyFacts(context, spec, image);
  const { uplink } = context.options;
  if (uplink !== undefined) {
    await context.client.must('POST', '/volumes/create', { body: volumeBody(facts.marks) });
  }
  const mounts = keeperMounts(context.sandbox(spec.id).uplink);
  const shown = uplink === undefined ? mounts : [volumeMount(spec.id, 'read')];
  const keeper = keeperBody(facts, { hostname: spec.hostname, mounts: shown });
  const [, name] = containerNames(spec.id);
  const id = await makeContainer(context, name, keeper);
  await startContainer(context, id);
  const { pid } = await requireAsAsked(context, id, keeper);
  // Its folder is the first that the engine shows: one that has another there sees other files than this host.
  await (uplink === undefined ? requireSamePlaces(pid, mounts) : makeUplink(context, uplinkBody(facts, uplink)));
  return id;
}

async function makeUplink(context: DockerContext, body: ContainerBody): Promise<void> {
  const id = await makeContainer(context, volumeOf(body.Labels[labels.sandbox] ?? ''), body);
  await startContainer(context, id);
  await requireAsAsked(context, id, body);
}

export async function bodyFacts(context: DockerContext, spec: SandboxSpec, image: string): Promise<BodyFacts> {
  const { machine, mark, facts } = context;
  const { processors, limits, userNamespace } = await facts();
  return {
    marks: { engine: await mark(), owner: spec.owner, sandbox: spec.id },
    machine,
    image,
    firstUser: nobody,
    limits: spec.limits,
    processors,
    runtime: spec.runtime,
    bounds: limits,
    userNamespace,
  };
}

/** Throws `ENGINE_FAILED` where the engine or the kernel says another thing of a running container than what was asked for. */
export async function requireAsAsked(context: DockerContext, id: string, body: ContainerBody): Promise<ProcessIdentity> {
  const { told, differences } = await (await context.dialect()).look(id, body);
  const init = await firstProcessIn(told);
  if (init === undefined) {
    const isElsewhere = fieldsOf(fieldsOf(told)['State'])['Running'] === true;
    const why = isElsewhere ? 'runs where this host does not see it' : 'ended at once';
    throw new CasemateError('ENGINE_FAILED', `the first process of a container ${why}`);
  }
  const faults = [
    ...differences,
    ...kernelFaults(await kernelStatus(init.pid), body.User, (await context.facts()).userNamespace ? await idMaps(init.pid) : []),
  ];
  if (faults.length > 0) {
    throw new CasemateError(
      'ENGINE_FAILED',
      `the engine made a container other than asked: ${faults.slice(0, 8).map(visible).join(', ')}`,
    );
  }
  return init;
}
