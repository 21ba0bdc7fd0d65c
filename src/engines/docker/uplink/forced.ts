import { visible } from '../../../base/text.ts';
import type { Environment } from '../../../system/environment.ts';
import { unsupported } from '../place/endpoint.ts';
import type { UplinkPlace } from './bodies.ts';

/**
 * Whoever starts the daemon can force an uplink for the listeners of Docker's sandboxes even where they could be handed over,
 * for an engine that shows no socket of this host in its containers. The choice is part of which engine is meant, and of the
 * plan.
 */
export const uplinkVariable = 'CASEMATE_DOCKER_UPLINK';

/**
 * `host`: its container is on the network of the engine's host, which is this one; `host:ADDRESS` and `bridge:ADDRESS`: the same, or
 * the engine's bridge, where this host is called ADDRESS. Throws `UNSUPPORTED` for another word.
 */
export function forcedUplink(env: Pick<Environment, 'get'>): UplinkPlace | undefined {
  const value = env.get(uplinkVariable);
  if (value === undefined || value === '') {
    return undefined;
  }
  const [, network, host = '127.0.0.1'] = /^(host|bridge(?=:))(?::([a-z\d][a-z\d.-]{0,252}))?$/i.exec(value) ?? [];
  if (network !== 'host' && network !== 'bridge') {
    throw unsupported(`${uplinkVariable} is ${visible(value)}`, 'Write host, host:ADDRESS or bridge:ADDRESS, or leave it out.');
  }
  return { network, host };
}

export function uplinkWay({ network, host }: UplinkPlace): string {
  const where = network === 'host' ? "the host's network" : "the engine's bridge";
  const named = network === 'host' && host === '127.0.0.1' ? '' : ` to ${host}`;
  return `traffic is carried by a container on ${where}${named} (${uplinkVariable})`;
}
