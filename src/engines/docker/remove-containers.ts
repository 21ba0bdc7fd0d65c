import { killContainer, ownContainers, removeContainer } from './containers.ts';
import type { DockerContext } from './context.ts';
import { removeNestedLeftovers } from './nested/leftovers.ts';
import { endMonitors } from './podman-monitors.ts';

/** Everything that a sandbox has in the engine, and the names of its containers there. */

/** Of the sandbox's own, and of a keeper that was made for it. */
export function containerNames(id: string): readonly [string, string] {
  return [`casemate-${id}`, `casemate-${id}-keeper`];
}

/** The keeper last: without it the others would have no network to be in. */
export async function removeContainers(context: DockerContext, id: string): Promise<void> {
  const own = await ownContainers(context, id);
  await Promise.all(own.filter(({ part }) => part === 'sandbox').map((one) => killContainer(context, one.id)));
  const isPodman = (await context.facts()).product === 'Podman';
  if (isPodman) {
    // Not before all that is in its namespaces.
    await Promise.all(own.filter(({ part }) => part === 'sandbox').map((one) => removeContainer(context, one.id)));
  }
  await Promise.all(own.map((one) => removeContainer(context, one.id)));
  if (isPodman) {
    // Also where a process before this one came no further than to remove the containers.
    const { container } = (await context.records.read(id)) ?? {};
    await endMonitors([...own.map((one) => one.id), ...(container === undefined ? [] : [container]), ...containerNames(id)]);
  }
  if (own.length > 0) {
    await removeNestedLeftovers(context, id);
  }
}
