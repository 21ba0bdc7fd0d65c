import type { SandboxSpec } from '../engine.ts';
import type { BodyFacts } from './container-bodies.ts';
import type { DockerContext } from './context.ts';

/** The first process, which only waits. It belongs to `nobody`, so that the agent can neither signal nor read it. */
const nobody = '65534:65534';

/** What every container of a sandbox is made from. */
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
