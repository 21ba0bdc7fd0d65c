import { relayHost, relayPort } from '../../agents/mcp-relay.ts';
import { CasemateError } from '../../base/errors.ts';
import { createBroker } from '../../broker/broker.ts';
import type { LocalNames, LocalPlace } from '../../gateway/local-names.ts';
import type { SandboxContext } from '../context.ts';
import { sandboxFolder } from '../host-files/folder.ts';
import { brokerPlace, type Plan } from '../plan/plan.ts';
import { sandboxFolders } from '../plan/spec.ts';
import type { SandboxRow } from '../stored/store.ts';

/** Names of a sandbox that lead to something of its own: the container broker, if the policy offers it, and its servers. */
export function localNames(context: SandboxContext, row: Pick<SandboxRow, 'id' | 'name'>, plan: Plan): LocalNames | undefined {
  const servers = serverPlaces(context, row, plan);
  const broker = brokerNames(context, row, plan);
  return broker === undefined && servers.length === 0
    ? undefined
    : { places: [...(broker?.places ?? []), ...servers], isInside: broker?.isInside ?? (() => false) };
}

/** One for each server that runs beside the sandbox. */
function serverPlaces(
  { servers }: SandboxContext,
  { id }: Pick<SandboxRow, 'id'>,
  { companions = [] }: Plan,
): readonly LocalPlace[] {
  return companions.map(({ server }, index) => ({
    host: relayHost(index),
    port: relayPort,
    serve: (socket, record) => servers.serve({ session: id, server }, socket, record),
  }));
}

function brokerNames(
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
