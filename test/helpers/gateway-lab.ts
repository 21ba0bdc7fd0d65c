import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { decode, encode } from 'dns-packet';

import type { BoundCredential } from '../../src/credentials/credential.ts';
import { createAuthority, createLeafSigner, type LeafSigner } from '../../src/gateway/tls/authority.ts';
import { createGateway, type GatewayOptions } from '../../src/gateway/create-gateway.ts';
import type { Authority, Gateway, GatewaySandbox } from '../../src/gateway/gateway.ts';
import { dialOnHost, dialRelayOnHost, type DialTarget } from '../../src/gateway/upstream/dial.ts';
import type { Journal, JournalEntry } from '../../src/journal/record.ts';
import type { NetworkRule } from '../../src/policy/policy.ts';
import type { Ingress, IngressReceiver } from '../../src/system/ingress.ts';
import { ownWait } from './own-wait.ts';

/**
 * A gateway with one sandbox, all on loopback ports of this machine: listeners stand for the sandbox's namespace,
 * names resolve to public addresses, and a dial to one of those leads to a server of the test.
 */
export interface Lab {
  readonly gateway: Gateway;
  readonly entries: JournalEntry[];
  readonly authority: Authority;
  /** authority of the upstreams, which the gateway trusts */
  readonly upstreamAuthority: Authority;
  readonly upstreamLeaves: LeafSigner;
  /** addresses dialled, `address:port` */
  readonly dials: string[];
  /** names resolved on the host */
  readonly lookups: string[];
  /** a loopback port that stands for `name:port` inside the sandbox */
  readonly open: (name: string, port: number) => Promise<number>;
  /** the same on a loopback port of the same number, for clients that cannot be told another one */
  readonly openSame: (name: string, port: number) => Promise<void>;
  /** the same for an address nobody asked a name for */
  readonly openAddress: (address: string, port: number) => Promise<number>;
  readonly query: (question: Uint8Array) => Uint8Array | undefined;
  readonly addressOf: (name: string) => string | undefined;
  /** from now on, `host:port` leads to this loopback port */
  readonly route: (host: string, port: number, target: number) => void;
  readonly failJournal: (fails: boolean) => void;
  /** lines of the journal count as written only when this has resolved */
  readonly delayJournal: (until: Promise<void>) => void;
  readonly actions: () => string[];
  /** the newest line about a denial */
  readonly lastDenial: () => JournalEntry | undefined;
  /** nothing has been recorded for a while of this process's own */
  readonly settled: () => Promise<void>;
  readonly close: () => Promise<void>;
}

export interface LabOptions {
  readonly rules: readonly NetworkRule[];
  readonly credentials?: readonly BoundCredential[];
  readonly gateway?: Partial<GatewayOptions>;
  /** further settings of the sandbox */
  readonly sandbox?: Partial<GatewaySandbox>;
}

export const sandboxId = 'cm-0123456789abcdef';

export async function createLab({ rules, credentials = [], gateway: extra = {}, sandbox }: LabOptions): Promise<Lab> {
  const [authority, upstreamAuthority] = await Promise.all([
    createAuthority({ name: 'lab' }),
    createAuthority({ name: 'upstreams' }),
  ]);
  const upstreamLeaves = await createLeafSigner(upstreamAuthority);
  const { journal, entries, fail, delay } = memoryJournal();
  const routes = new Map<string, number>();
  const addresses = new Map<string, string>();
  const dials: string[] = [];
  const lookups: string[] = [];
  const publicAddress = (host: string): string => {
    const known = addresses.get(host) ?? `93.184.216.${addresses.size + 1}`;
    addresses.set(host, known);
    return known;
  };
  const onLoopback = ({ address, port }: DialTarget): DialTarget => {
    dials.push(`${address}:${port}`);
    return { address: '127.0.0.1', port: routes.get(`${address}:${port}`) ?? (address.startsWith('127.') ? port : 1) };
  };
  const gateway = createGateway({
    journal,
    resolve: async (host) => {
      lookups.push(host);
      return [publicAddress(host)];
    },
    dial: (target) => dialOnHost(onLoopback(target)),
    dialRelay: (target) => dialRelayOnHost(onLoopback(target)),
    trustStorePem: upstreamAuthority.certificatePem,
    ...extra,
  });
  let receiver: IngressReceiver | undefined;
  const servers: Server[] = [];
  const ingress: Ingress = {
    serve: (given) => void (receiver = given),
    close: async () => undefined,
  };
  gateway.attach(
    {
      id: sandboxId,
      name: 'lab',
      policyHash: 'f'.repeat(64),
      rules,
      credentials: new Map(credentials.map((one) => [one.name, one])),
      authority,
      ...sandbox,
    },
    ingress,
  );
  const query = (question: Uint8Array): Uint8Array | undefined => {
    let answer: Uint8Array | undefined;
    receiver?.datagram({ data: question, localPort: 53, reply: (data) => void (answer = data) });
    return answer;
  };
  const addressOf = (name: string): string | undefined => {
    const answer = query(encode({ type: 'query', id: 1, flags: 0x100, questions: [{ type: 'A', name }] }));
    const record = answer === undefined ? undefined : decode(Buffer.from(answer)).answers?.[0];
    return record?.type === 'A' ? record.data : undefined;
  };
  const openAddress = async (localAddress: string, localPort: number, at = 0): Promise<number> => {
    const server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, (socket: Socket) =>
      receiver?.connection({ socket, localAddress, localPort }),
    );
    servers.push(server);
    return listen(server, at);
  };
  return {
    gateway,
    entries,
    authority,
    upstreamAuthority,
    upstreamLeaves,
    dials,
    lookups,
    query,
    addressOf,
    openAddress,
    async open(name, port) {
      const address = addressOf(name);
      if (address === undefined) {
        throw new Error(`${name} has no address in the sandbox`);
      }
      return openAddress(address, port);
    },
    async openSame(name, port) {
      await openAddress(addressOf(name) ?? '', port, port);
    },
    route: (host, port, target) => void routes.set(`${publicAddress(host)}:${port}`, target),
    failJournal: fail,
    delayJournal: delay,
    actions: () => entries.map((entry) => `${entry.action} ${entry.decision} ${entry.outcome} ${entry.subject}`),
    lastDenial: () => entries.findLast((entry) => entry.decision === 'deny'),
    async settled() {
      for (let known = -1; known !== entries.length;) {
        known = entries.length;
        await ownWait(60);
      }
    },
    async close() {
      await gateway.close();
      await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
    },
  };
}

export async function listen(server: Server, port = 0): Promise<number> {
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

export { rule } from './network-rule.ts';

export const canary = 'sk-ant-api03-CANARY-9f8e7d6c5b4a39281706f5e4d3c2b1a0-AA';
export const phantom = 'sk-ant-api03-phantom-00112233445566778899aabbccddeeff-AA';

export function credential(options: Partial<BoundCredential> = {}): BoundCredential {
  return {
    name: 'anthropic',
    provider: 'anthropic',
    phantom,
    phantoms: () => [options.phantom ?? phantom],
    identityHeaders: ['authorization', 'proxy-authorization', 'cookie', 'x-api-key', 'api-key'],
    inject: { kind: 'header', header: 'x-api-key', format: '{}' },
    obtain: async () => ({ kind: 'text', secret: { reveal: () => canary } }),
    ...options,
  };
}

interface MemoryJournal {
  readonly journal: Journal;
  readonly entries: JournalEntry[];
  readonly fail: (fails: boolean) => void;
  readonly delay: (until: Promise<void>) => void;
}

function memoryJournal(): MemoryJournal {
  let written = Promise.resolve();
  const entries: JournalEntry[] = [];
  let fails = false;
  const journal: Journal = {
    async append(entry) {
      if (fails) {
        throw new Error('the disk is full');
      }
      entries.push(entry);
      await written;
      return { ...entry, seq: entries.length, time: new Date(0).toISOString(), previous: '0'.repeat(64) };
    },
    credentialHash: () => 'cafecafecafecafe',
    checkpoint: async () => undefined,
    close: async () => undefined,
  };
  return { journal, entries, fail: (value) => void (fails = value), delay: (until) => void (written = until) };
}
