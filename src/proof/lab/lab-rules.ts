import { hosts, meteredRequests, rawPort } from './hosts.ts';
import type { ServerPorts } from './world.ts';

/** What the lab's own hosts add to the policy under proof: a rule of each kind, and credentials that are canaries. Pure. */
export interface LabFacts {
  readonly ports: ServerPorts;
  /** files with values: of the main canary, of the one for `rotating`, of the keys of AWS */
  readonly canaryFile: string;
  readonly rotatingFile: string;
  /** with `id:secret:token` */
  readonly signingFile: string;
  readonly hasRegistry: boolean;
}

const labCredential = 'proof-canary';
export const rotatingCredential = 'proof-rotating';
const meteredCredential = 'proof-metered';
const signingCredential = 'proof-signing';

/** Variables in which a sandbox of the lab finds its phantoms. */
export const phantomVariable = 'PROOF_API_KEY';
export const rotatingVariable = 'PROOF_ROTATING_KEY';

export function labRules({ ports, hasRegistry }: LabFacts): readonly object[] {
  const secure = `https://127.0.0.1:${ports.tls}`;
  const keyed = { credential: labCredential, allow: ['GET /**', 'POST /**'] };
  const bad = (['expired', 'early', 'stranger', 'misnamed'] as const).map((name) => ({
    host: hosts[name],
    ...keyed,
    upstream: `https://127.0.0.1:${ports[name]}`,
  }));
  return [
    { host: hosts.allowed, ports: [443], upstream: secure },
    { host: hosts.allowed, ports: [80], upstream: `http://127.0.0.1:${ports.plain}` },
    { host: hosts.opened, credential: labCredential, allow: ['POST /v1/messages', 'GET /v1/echo'], upstream: secure },
    { host: hosts.judged, allow: ['GET /**', 'POST /**'], upstream: secure },
    { host: `*.${hosts.wild}`, upstream: secure },
    { host: `*.${hosts.channel}`, upstream: secure },
    { host: hosts.rebind, ports: [443, ports.inner] },
    { host: `*.${hosts.flip}`, ports: [443, ports.inner] },
    { host: `*.${hosts.flipOpened}`, ports: [ports.inner], ...keyed },
    // An upstream in clear would make it a rule about HTTP, where other bytes are refused.
    { host: hosts.raw, ports: [rawPort], upstream: `https://127.0.0.1:${ports.raw}` },
    { host: hosts.clear, ports: [80, 443], ...keyed },
    { host: hosts.rotating, ...keyed, credential: rotatingCredential, upstream: secure },
    { host: hosts.metered, ...keyed, credential: meteredCredential, upstream: secure },
    { host: hosts.forge, credential: labCredential, allow: ['GET /repos/**'], upstream: secure },
    {
      host: hosts.git,
      credential: labCredential,
      git: [{ repository: 'team/open', push: ['agent/*'] }, { repository: 'team/read' }],
      upstream: secure,
    },
    { host: hosts.signed, credential: signingCredential, allow: ['GET /held/**', 'PUT /held/**'], upstream: secure },
    { host: hosts.scripted, ...keyed, upstream: `http://127.0.0.1:${ports.scripted}` },
    ...(hasRegistry ? [{ host: hosts.registry, upstream: secure }] : []),
    ...bad,
  ];
}

export function labCredentials({ canaryFile, rotatingFile, signingFile }: LabFacts): Readonly<Record<string, object>> {
  const key = { provider: 'header', header: { name: 'x-api-key', format: '{}' } };
  return {
    [labCredential]: { ...key, source: { file: canaryFile }, variable: phantomVariable },
    [meteredCredential]: { ...key, source: { file: canaryFile }, variable: 'PROOF_METERED_KEY' },
    [signingCredential]: { provider: 'aws', source: { file: signingFile } },
    [rotatingCredential]: { provider: 'bearer', source: { file: rotatingFile }, variable: rotatingVariable },
  };
}

export const labBudgets: readonly object[] = [{ credential: meteredCredential, requests: meteredRequests }];
