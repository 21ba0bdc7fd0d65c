import { inspectContainer, ownContainers } from '../../engines/docker/containers.ts';
import { dockerContext, type DockerContext } from '../../engines/docker/context.ts';
import { runInside } from '../../engines/docker/inside.ts';
import { podmanTold } from '../../engines/docker/podman-told.ts';
import { fieldsOf, textOf, type Fields } from '../../engines/docker/read-json.ts';
import { containerOptions } from '../../engines/registry.ts';
import { environmentOf } from '../../system/environment.ts';
import { pathsFrom } from '../../system/paths.ts';
import type { RunInside } from '../inside/observe.ts';
import type { Lab, LabSandbox } from './lab.ts';

/** What the engine under a lab says of its containers, asked directly, and a way in that the product offers no one. */

export interface DockerParts {
  /** what `inspect` answers of each */
  readonly keeper: Fields;
  readonly sandbox: Fields;
}

export type LabEngine = Pick<Lab, 'env' | 'twin'>;

/** Of the two that are asked for containers, which one made the lab's. */
export function containerEngine({ twin }: Pick<Lab, 'twin'>): 'docker' | 'podman' {
  return twin.target.plan?.engine === 'podman' ? 'podman' : 'docker';
}

/** Of a second home in the lab: `env` says where. */
export function labOptions({ env, twin }: LabEngine) {
  const own = environmentOf(env);
  const uid = process.geteuid?.() ?? 0;
  return containerOptions({ paths: pathsFrom(own, uid), env: own, uid }, containerEngine({ twin }));
}

export function labContext(lab: LabEngine): DockerContext {
  return dockerContext(labOptions(lab));
}

export async function dockerParts(lab: LabEngine, { id }: Pick<LabSandbox, 'id'>): Promise<DockerParts> {
  const context = labContext(lab);
  const own = await ownContainers(context, id);
  const told = async (part: string): Promise<Fields> => {
    const container = own.find((one) => one.part === part);
    return container === undefined ? {} : fieldsOf(await inspectContainer(context, container.id));
  };
  const [keeper, sandbox] = await Promise.all([told('keeper'), told('sandbox')]);
  return { keeper, sandbox };
}

export interface PodmanPart {
  /** in Podman's own words */
  readonly inspected: Fields;
  /** what it gave to the container runtime */
  readonly configuration: Fields;
}

export async function podmanParts(
  lab: LabEngine,
  sandbox: Pick<LabSandbox, 'id'>,
): Promise<Readonly<Record<keyof DockerParts, PodmanPart>>> {
  const { client, options } = labContext(lab);
  const ids = await dockerParts(lab, sandbox);
  const told = async (part: Fields): Promise<PodmanPart> => {
    const { inspected, configuration } = await podmanTold({ client, env: options.env }, textOf(part['Id']));
    return { inspected: fieldsOf(inspected), configuration: fieldsOf(configuration) };
  };
  const [keeper, own] = await Promise.all([told(ids.keeper), told(ids.sandbox)]);
  return { keeper, sandbox: own };
}

/** As root of the image, without any right: what root inside is that the engine starts under the filter of the sandbox. */
export function dockerRootInside(lab: Lab, sandbox: LabSandbox): RunInside {
  return async (command, { timeoutMs } = {}) => {
    const { sandbox: told } = await dockerParts(lab, sandbox);
    const container = textOf(told['Id']);
    const { exitCode, stdout, stderr } = await runInside(labContext(lab), { container, user: '0:0', command, timeoutMs });
    return { code: exitCode, out: Buffer.from(stdout), err: Buffer.from(stderr) };
  };
}
