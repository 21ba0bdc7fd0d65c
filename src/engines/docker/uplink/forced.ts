import { visible } from '../../../base/text.ts';
import type { Environment } from '../../../system/environment.ts';
import { unsupported } from '../place/endpoint.ts';
import type { UplinkPlace } from './bodies.ts';

/**
 * Whoever starts the daemon may have the listeners of Docker's sandboxes carried by an uplink, also where they could be handed
 * over: for an engine that shows no socket of this host in its containers. It is part of which engine is meant, and of the plan.
 */
export const uplinkVariable = 'CASEMATE_DOCKER_UPLINK';

/** `host`: its container is on the network of the engine's host, which is this one. Throws `UNSUPPORTED` for another word. */
export function forcedUplink(env: Pick<Environment, 'get'>): UplinkPlace | undefined {
  const value = env.get(uplinkVariable);
  if (value === undefined || value === '') {
    return undefined;
  }
  if (value !== 'host') {
    throw unsupported(`${uplinkVariable} is ${visible(value)}`, 'Write host, or leave it out.');
  }
  return { network: 'host', host: '127.0.0.1' };
}

export const uplinkWay = `traffic is carried by a container on the host's network (${uplinkVariable})`;
