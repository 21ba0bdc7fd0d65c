import { describe, expect, it } from 'vitest';

import { agents } from '../../../src/agents/agents.ts';
import { phantomVariables } from '../../../src/credentials/providers.ts';
import { noGuards } from '../../../src/policy/guards.ts';
import { hashPlan, makePlan, parsePlan, type Plan, type PlanFacts } from '../../../src/sandbox/plan/plan.ts';
import { hostsFile, specOf, sandboxFolders } from '../../../src/sandbox/plan/spec.ts';
import { resolveTexts } from '../policy/samples.ts';

const facts: PlanFacts = {
  engine: 'oci',
  agent: agents['claude'],
  imageDigest: 'sha256:1',
  workspacePath: '/work/here',
  protect: ['.git/hooks'],
  home: { files: ['.claude.json'], copied: [], leftOut: [{ path: '.claude/x', why: 'a secret' }] },
  policyFiles: [{ layer: 'user', path: '/p.yaml', sha256: 'ab' }],
  trustEnv: { SSL_CERT_FILE: '/etc/ssl/certs/ca-certificates.crt' },
  variablesOf: phantomVariables,
};

const text = `agent: { name: claude }
presets: [claude]
limits: { memory: 1GiB, time: 1h }
network:
  - host: db.example.com
    ports: [5432]
`;
const plan = makePlan(resolveTexts({ user: text }), facts);

/** The same data with the keys of every object the other way round. */
function reversed(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value.map(reversed);
  }
  return typeof value === 'object' && value !== null
    ? Object.fromEntries(
        Object.entries(value)
          .toReversed()
          .map(([key, item]) => [key, reversed(item)]),
      )
    : value;
}

/** Each leaf of the plan, by its path, with a changed copy of the whole. */
function* changes(value: unknown, path: readonly string[] = []): Generator<readonly [string, Plan]> {
  if (typeof value === 'object' && value !== null) {
    for (const [key, item] of Object.entries(value)) {
      yield* changes(item, [...path, key]);
    }
  } else if (value !== undefined) {
    const copy: Plan = structuredClone(plan);
    const parent = path.slice(0, -1).reduce<object>((object, key) => Reflect.get(object, key), copy);
    Reflect.set(
      parent,
      path.at(-1) ?? '',
      typeof value === 'number' ? value + 1 : typeof value === 'boolean' ? !value : `${JSON.stringify(value)}x`,
    );
    yield [path.join('.'), copy];
  }
}

describe('a plan', () => {
  it('is plain data that survives the state file with its hash', () => {
    const stored = parsePlan(JSON.stringify(plan));
    expect(hashPlan(stored)).toBe(hashPlan(plan));
    expect(hashPlan(makePlan(resolveTexts({ user: text }), facts))).toBe(hashPlan(plan));
    expect(() => parsePlan('{"version":')).toThrow(expect.objectContaining({ code: 'STORE_FAILED' }));
  });

  it('has one hash whatever the order of keys', () => {
    expect(hashPlan(reversed(plan) as Plan)).toBe(hashPlan(plan));
  });

  it('has another hash with every field that is changed', () => {
    const all = [...changes(plan)];
    expect(all.length).toBeGreaterThan(60);
    const same = all.filter(([, changed]) => hashPlan(changed) === hashPlan(plan)).map(([path]) => path);
    expect(same).toEqual([]);
    expect(new Set(all.map(([, changed]) => hashPlan(changed))).size).toBe(all.length);
  });

  it('names every port that a rule names, and those where a denial is explained', () => {
    expect(plan.network.tcpPorts).toEqual([53, 80, 443, 5432]);
    expect(plan.network.udpPorts).toEqual([53]);
  });

  it('takes up only credentials that a rule uses, with the variable for their phantom', () => {
    expect(plan.credentials.map(({ rule, variables, hosts }) => [rule.name, variables, hosts])).toEqual([
      ['anthropic', [{ name: 'ANTHROPIC_API_KEY' }], ['api.anthropic.com']],
    ]);
    expect(makePlan(resolveTexts({}), { ...facts, agent: undefined }).credentials).toEqual([]);
  });

  it('is this', () => {
    const { network: _, policy, credentials: __, env, ...rest } = plan;
    expect(policy.files).toEqual(facts.policyFiles);
    expect(env).toMatchObject({
      HOME: '/home/agent',
      DISABLE_AUTOUPDATER: '1',
      SSL_CERT_FILE: '/etc/ssl/certs/ca-certificates.crt',
    });
    expect(rest).toEqual({
      version: 1,
      asks: { waitMs: 60_000, when: 'watched' },
      guards: noGuards,
      engine: 'oci',
      runtime: 'runc',
      level: 'personal',
      agent: { name: 'claude', permissions: 'ask', telemetry: false, command: ['claude', '--permission-mode', 'default'] },
      image: { recipe: 'claude', digest: 'sha256:1' },
      workspace: { path: '/work/here', mode: 'direct', protect: ['.git/hooks'] },
      home: facts.home,
      limits: {
        memoryBytes: 1024 ** 3,
        cpus: expect.any(Number),
        pids: 512,
        diskBytes: expect.any(Number),
        fileBytes: expect.any(Number),
        openFiles: expect.any(Number),
        timeMs: 3_600_000,
        idleMs: rest.limits.idleMs,
      },
      waive: [],
    });
  });
});

describe('what an engine is told', () => {
  const spec = specOf(plan, {
    id: 'cm-1',
    owner: 'own-1',
    name: 'work',
    rootfs: '/r',
    folder: '/f',
    phantoms: { ANTHROPIC_API_KEY: 'phantom' },
  });

  it('is the plan, our folders, and phantoms', () => {
    expect(spec).toMatchObject({
      id: 'cm-1',
      owner: 'own-1',
      hostname: 'work',
      rootfs: '/r',
      home: '/f/home',
      workspace: plan.workspace,
    });
    expect(spec.env).toEqual({ ...plan.env, ANTHROPIC_API_KEY: 'phantom', CASEMATE_SANDBOX: 'work' });
    expect(spec.files.map(({ target }) => target)).toEqual([
      '/etc/resolv.conf',
      '/etc/hosts',
      '/etc/ssl/certs/ca-certificates.crt',
    ]);
  });

  it('shows no file that holds a key', () => {
    const { authorityKey, logs } = sandboxFolders('/f');
    expect(spec.files.map(({ source }) => source)).not.toContain(authorityKey);
    expect(spec.home.startsWith(logs)).toBe(false);
    expect(hostsFile('work')).toBe('127.0.0.1 localhost work\n::1 localhost\n');
  });
});
