import { join } from 'node:path';

import { inspectContainer, ownContainers } from '../../engines/docker/containers.ts';
import { dockerContext, type DockerContext } from '../../engines/docker/context.ts';
import { runInside } from '../../engines/docker/inside.ts';
import { fieldsOf, textOf, type Fields } from '../../engines/docker/read-json.ts';
import { socketPath } from '../../engines/docker/socket-path.ts';
import { environmentOf } from '../../system/environment.ts';
import type { RunInside } from '../inside/observe.ts';
import type { Lab, LabSandbox } from './lab.ts';

/** What the engine under a lab says of its containers, asked directly; and the way in that the product gives nobody. */

export interface DockerParts {
  /** what `inspect` answers of each */
  readonly keeper: Fields;
  readonly sandbox: Fields;
}

export function labContext(lab: Lab): DockerContext {
  const { places, env } = lab;
  const images = join(env['CASEMATE_IMAGES'] ?? '', 'engines');
  return dockerContext({
    folders: { state: join(places.state, 'docker'), run: join(places.runtime, 'docker'), images },
    socket: socketPath(environmentOf(env)),
    env,
    uid: process.geteuid?.() ?? 0,
  });
}

export async function dockerParts(lab: Lab, { id }: Pick<LabSandbox, 'id'>): Promise<DockerParts> {
  const context = labContext(lab);
  const own = await ownContainers(context, id);
  const told = async (part: string): Promise<Fields> => {
    const container = own.find((one) => one.part === part);
    return container === undefined ? {} : fieldsOf(await inspectContainer(context, container.id));
  };
  const [keeper, sandbox] = await Promise.all([told('keeper'), told('sandbox')]);
  return { keeper, sandbox };
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
