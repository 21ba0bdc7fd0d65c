/** Process: one gateway with one sandbox, whose two hosts are reached through a listener each. */

import { parseHost } from '../src/base/host.ts';
import { createGateway } from '../src/gateway/create-gateway.ts';
import type { Authority } from '../src/gateway/gateway.ts';
import { dialOnHost, dialRelayOnHost } from '../src/gateway/upstream/dial.ts';
import { journalPlace } from '../src/journal/journal-place.ts';
import { openJournal } from '../src/journal/open-journal.ts';
import type { NetworkRule } from '../src/policy/policy.ts';
import { systemClock } from '../src/system/clock.ts';
import { environmentOf } from '../src/system/environment.ts';
import type { IngressReceiver } from '../src/system/ingress.ts';
import { pathsFrom } from '../src/system/paths.ts';
import { serveTasks } from './child.ts';
import { keyCredential, listenFor } from './gateway-listen.ts';

export interface GatewayData {
  /** for the journal */
  readonly folder: string;
  readonly authority: Authority;
  readonly trustStorePem: string;
  readonly upstreamPort: number;
  readonly hosts: { readonly splice: string; readonly injection: string };
  readonly phantom: string;
  readonly secret: string;
}

/** Ports of the listeners. */
export interface Ports {
  readonly splice: number;
  readonly injection: number;
}

serveTasks(async (data: GatewayData) => {
  const receiver = await start(data);
  const [splice, injection] = await Promise.all([
    listenFor(receiver, data.hosts.splice),
    listenFor(receiver, data.hosts.injection),
  ]);
  return { ready: 0, work: async () => ({ splice, injection }) };
});

async function start({ folder, authority, trustStorePem, upstreamPort, hosts, ...key }: GatewayData): Promise<IngressReceiver> {
  const { phantom, secret } = key;
  const journal = await openJournal({
    ...journalPlace(pathsFrom(environmentOf({ CASEMATE_HOME: folder, HOME: folder }), 0)),
    clock: systemClock,
  });
  const gateway = createGateway({
    journal,
    trustStorePem,
    resolve: async () => ['93.184.216.34'],
    dial: () => dialOnHost({ address: '127.0.0.1', port: upstreamPort }),
    dialRelay: () => dialRelayOnHost({ address: '127.0.0.1', port: upstreamPort }),
    limits: { connectionsPerSecond: 100_000 },
  });
  const served = Promise.withResolvers<IngressReceiver>();
  gateway.attach(
    {
      id: 'cm-0000000000000000',
      name: 'bench',
      policyHash: '0'.repeat(64),
      rules: [rule(hosts.splice), rule(hosts.injection, 'key')],
      authority,
      credentials: keyCredential(phantom, secret),
    },
    { serve: served.resolve, close: async () => undefined },
  );
  return served.promise;
}

function rule(host: string, credential?: string): NetworkRule {
  return {
    id: `bench:${host}`,
    host: { kind: 'exact', host: parseHost(host) },
    ports: [443],
    credential,
    http: undefined,
    upstream: undefined,
    origin: { layer: 'project', source: 'bench' },
  };
}
