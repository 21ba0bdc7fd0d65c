import { visible } from '../base/text.ts';
import type { NestedContainer } from '../engines/containers.ts';
import { readNote, type Note } from './notes.ts';
import type { BrokerParts } from './parts.ts';
import { malformed, notFound } from './refusal.ts';

/**
 * Finds containers by the names that clients use. A client's name is looked up among the sandbox's own containers and never sent
 * to an engine.
 */

export interface OwnContainer extends NestedContainer {
  readonly said: Note;
}

export async function ownContainers({ containers, names }: Named): Promise<readonly OwnContainer[]> {
  const all = await containers.list();
  return all.flatMap((container) => {
    const said = readNote(container.note);
    if (said === undefined) {
      return [];
    }
    const links = names.now().links.filter((link) => link.container === container.id);
    const later = links.map(({ network, aliases }): readonly [string, string[]] => [
      network,
      [...(said.networks[network] ?? []), ...aliases],
    ]);
    return [{ ...container, said: { ...said, networks: { ...said.networks, ...Object.fromEntries(later) } } }];
  });
}

type Named = Pick<BrokerParts, 'containers' | 'names'>;

/** By its name, its id, or the beginning of its id that no other one has. Throws a refusal. */
export async function findContainer(parts: Named, reference: string): Promise<OwnContainer> {
  const all = await ownContainers(parts);
  const bare = reference.replace(/^\//, '');
  const found = all.find(({ said, id }) => said.name === bare || id === bare);
  if (found !== undefined) {
    return found;
  }
  const beginning = /^[0-9a-f]{4,63}$/.test(bare) ? all.filter(({ id }) => id.startsWith(bare)) : [];
  const [only, ...others] = beginning;
  if (only === undefined) {
    throw notFound(`No such container: ${visible(bare).slice(0, 128)}`);
  }
  if (others.length > 0) {
    throw malformed(`more than one container has an id that begins with ${bare}`);
  }
  return only;
}
