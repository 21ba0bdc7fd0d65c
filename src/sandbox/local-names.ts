import { CasemateError } from '../base/errors.ts';
import { createBroker } from '../broker/broker.ts';
import type { LocalNames } from '../gateway/local-names.ts';
import type { SandboxContext } from './context.ts';
import { sandboxFolder } from './folder.ts';
import { brokerPlace, type Plan } from './plan.ts';
import { sandboxFolders } from './spec.ts';
import type { SandboxRow } from './store.ts';

/** Names of a sandbox that lead to something of its own: the broker for containers, where the policy offers them. */
export function localNames(
  { engine, clock, paths }: SandboxContext,
  { id, name }: Pick<SandboxRow, 'id' | 'name'>,
  { docker }: Plan,
): LocalNames | undefined {
  if (docker === undefined) {
    return undefined;
  }
  const { build, images } = docker;
  const broker = createBroker({
    sandbox: name,
    offer: { build, images },
    containers: async () => {
      if (engine.containers === undefined) {
        throw new CasemateError('UNSUPPORTED', 'this engine makes no containers beside a sandbox');
      }
      return engine.containers(id);
    },
    file: sandboxFolders(sandboxFolder(paths, id)).containerNames,
    clock,
  });
  return { places: [{ ...brokerPlace, serve: broker.serve }], isInside: broker.isInside };
}
