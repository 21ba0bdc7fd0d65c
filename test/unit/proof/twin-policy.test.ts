import { describe, expect, it } from 'vitest';

import { isLabRule } from '../../../src/policy/layers/lab-hosts.ts';
import { parsePolicy } from '../../../src/policy/written/parse.ts';
import { resolvePolicy } from '../../../src/policy/layers/resolve-policy.ts';
import { twinPolicy } from '../../../src/proof/lab/twin-policy.ts';
import type { ServerPorts } from '../../../src/proof/lab/world.ts';
import { makePlan } from '../../../src/sandbox/plan/plan.ts';

const facts = { agents: {}, registries: {} };

function policyOf(text: string) {
  const layer = parsePolicy({ kind: 'user', source: '/u/policy.yaml', folder: '/u', workspaceFolder: '/work', text });
  return resolvePolicy({ organisation: undefined, user: layer, project: undefined, commandLine: undefined }, facts as never, {
    folder: '/work',
  });
}

function planOf(text: string) {
  return makePlan(policyOf(text), {
    agent: undefined,
    engine: 'oci',
    imageDigest: 'sha256:1',
    workspacePath: '/work',
    protect: [],
    home: { files: [], copied: [], leftOut: [] },
    policyFiles: [],
    trustEnv: {},
    variablesOf: () => [],
  });
}

const written = `version: 1
level: team
image: base
runtime: runc
workspace: { mode: readonly }
network:
  - { host: api.example.com, ports: [443, 8443], allow: ["GET,HEAD /v1/**", /any/*], credential: mine }
  - { host: "*.example.net" }
  - { host: git.example.com, git: [{ repository: me/site, push: ["agent/*"], changes: [create] }, { repository: "me/*" }] }
  - { host: mcp.example.com, mcp: { path: /mcp, tools: ["read_*"], methods: [resources/read] } }
credentials:
  mine: { provider: bearer, source: { env: REAL_SECRET }, variable: MINE }
limits: { memory: 1GiB, cpus: 1.5, pids: 99, disk: 2GiB, fileSize: 1GiB, files: 512, time: 2h, idle: 5m }
budgets: [{ per: day, tokens: 1000, spend: 2.5 }, { credential: mine, over: all, requests: 10 }]
packages: { minAge: 7d, block: ["left-pad@<2", "pypi:evil"], allow: [ours] }
uploads: { maxBytes: 1MiB, perHour: 10MiB, secrets: mask, envFiles: false, except: [PUBLIC] }
asks: { wait: 30s, when: always }
waive: [disk-limit]
`;

describe('the policy of a twin', () => {
  const plan = planOf(written);
  const names = ['tls', 'plain', 'raw', 'inner', 'scripted', 'expired', 'early', 'stranger', 'misnamed'] as const;
  const ports = Object.fromEntries(names.map((name, index) => [name, 1001 + index])) as ServerPorts;
  const places = { canaryFile: '/lab/canary.key', rotatingFile: '/lab/rotating.key', signingFile: '/lab/signing.key' };
  const text = twinPolicy(plan, { ...places, ports, hasRegistry: false });
  const twin = planOf(text);

  it('says what the plan says, and beside it only rules for hosts of the lab', () => {
    const own = twin.network.rules.filter((rule) => !isLabRule(rule));
    const bare = (rules: typeof own) => rules.map(({ id: _id, origin: _origin, ...rule }) => rule);
    expect(bare(own)).toEqual(bare([...plan.network.rules]));
    expect(twin).toMatchObject({
      level: plan.level,
      runtime: plan.runtime,
      image: plan.image,
      workspace: { mode: plan.workspace.mode },
      limits: plan.limits,
      asks: plan.asks,
      waive: plan.waive,
    });
  });

  it('guards what the plan guards, but for what would count the attacks themselves', () => {
    const bare = (value: unknown) => JSON.parse(JSON.stringify(value, (key, one) => (key === 'origin' ? undefined : one)));
    const { budgets, uploads, ...rest } = bare(plan.guards);
    const found = bare(twin.guards);
    expect(found).toMatchObject(rest);
    expect(found.budgets).toEqual([
      ...budgets.filter(({ credential }: { readonly credential?: string }) => credential !== undefined),
      expect.objectContaining({ credential: 'proof-metered' }),
    ]);
    expect(found.uploads).toEqual([{ maxBytes: uploads[0].maxBytes }]);
  });

  it('has the preset of packages where the lab has a registry, which needs a host to name one', () => {
    expect(twinPolicy(plan, { ...places, ports, hasRegistry: true })).toMatch(/presets:\n +- npm\n/);
  });

  it('takes no value of the real credentials', () => {
    const ownFiles: Record<string, string> = { 'proof-rotating': '/lab/rotating.key', 'proof-signing': '/lab/signing.key' };
    expect(text).not.toContain('REAL_SECRET');
    expect(twin.credentials.map(({ rule }) => rule.source)).toEqual(
      twin.credentials.map(({ rule }) => ({
        kind: 'file',
        path: ownFiles[rule.name] ?? '/lab/canary.key',
      })),
    );
    expect(twin.credentials.map(({ rule }) => rule.name).toSorted()).toEqual([
      'mine',
      'proof-canary',
      'proof-metered',
      'proof-rotating',
      'proof-signing',
    ]);
  });
});
