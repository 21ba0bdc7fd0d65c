import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { parseHost } from '../../../src/base/host.ts';
import { commandLineLayer } from '../../../src/policy/written/command-line-layer.ts';
import { decideExchange } from '../../../src/policy/judging/decide.ts';
import { hashPolicy } from '../../../src/policy/hash.ts';
import type { Policy } from '../../../src/policy/policy.ts';
import { facts, layer, resolveTexts, thrownBy, type Texts } from './samples.ts';
import { resolvePolicy } from '../../../src/policy/layers/resolve-policy.ts';

const refusal = (texts: Texts): string => thrownBy(() => resolveTexts(texts));

const reaches = (policy: Policy, host: string, request = { method: 'GET', path: '/' }, port = 443): boolean =>
  decideExchange(policy.network, parseHost(host), port, request).verdict === 'allow';

describe('without any file', () => {
  test('a sandbox has the defaults and reaches nothing', () => {
    const policy = resolveTexts({});
    expect(policy).toMatchObject({
      level: 'personal',
      agent: { name: undefined, permissions: 'ask', telemetry: false },
      image: 'base',
      runtime: 'runc',
      workspace: { path: '/work/here', mode: 'direct' },
      presets: [],
      network: [],
      credentials: [],
      waive: [],
    });
    expect(policy.limits).toMatchObject({ memoryBytes: 4 * 1024 ** 3, cpus: 2, pids: 512, timeMs: undefined });
  });

  test('an agent of the command line brings its image, its preset and its credential', () => {
    const policy = resolveTexts({}, commandLineLayer({ agent: 'claude' }, '/work/here'));
    expect(policy).toMatchObject({
      image: 'claude',
      presets: ['claude'],
      credentials: [
        {
          name: 'anthropic',
          source: {
            kind: 'first',
            sources: [
              { kind: 'env', name: 'ANTHROPIC_API_KEY' },
              { kind: 'stored', name: 'anthropic' },
            ],
          },
        },
      ],
    });
    expect(reaches(policy, 'api.anthropic.com', { method: 'POST', path: '/v1/messages' })).toBe(true);
    expect(reaches(policy, 'api.anthropic.com', { method: 'GET', path: '/v1/files' })).toBe(false);
    expect(reaches(policy, 'telemetry.example')).toBe(false);
  });

  test('the result is frozen to the last value and its hash is stable', () => {
    const policy = resolveTexts({ user: 'agent: claude\nlimits: { memory: 1GiB }' });
    const isFrozen = (value: unknown): boolean =>
      typeof value !== 'object' || value === null || (Object.isFrozen(value) && Object.values(value).every(isFrozen));
    expect(isFrozen(policy)).toBe(true);
    expect(hashPolicy(policy)).toBe(hashPolicy(resolveTexts({ user: 'agent: claude\nlimits: { memory: 1GiB }' })));
    expect(hashPolicy(policy)).not.toBe(hashPolicy(resolveTexts({ user: 'agent: claude\nlimits: { memory: 2GiB }' })));
  });

  test('telemetry hosts are opened only where telemetry is on', () => {
    expect(reaches(resolveTexts({ user: 'agent: { name: claude, telemetry: true }' }), 'telemetry.example')).toBe(true);
  });
});

describe('single values', () => {
  test('the lowest layer that writes one holds, and its origin is kept', () => {
    const policy = resolveTexts({
      organisation: 'limits: { memory: 8GiB, pids: 100 }',
      user: 'limits: { memory: 6GiB }',
      project: 'limits: { memory: 2GiB }',
    });
    expect(policy.limits).toMatchObject({ memoryBytes: 2 * 1024 ** 3, pids: 100 });
    expect(policy.origins['limits.memory']).toEqual({
      layer: 'project',
      source: '/work/project/casemate.yaml',
      line: 2,
      column: 19,
    });
    expect(policy.origins['limits.pids']).toMatchObject({ layer: 'organisation', line: 2 });
    expect(policy.origins['limits.cpus']).toMatchObject({ layer: 'default' });
  });

  test.each<[string, string, string]>([
    ['level: team', 'level: personal', 'level personal is more than the team'],
    ['level: maximum', 'level: service', 'level service'],
    ['agent: { permissions: ask }', 'agent: { permissions: skip }', 'agent.permissions skip'],
    ['agent: { telemetry: false }', 'agent: { telemetry: true }', 'agent.telemetry true'],
    ['runtime: runsc', 'runtime: runc', 'runtime runc'],
    ['workspace: { mode: readonly }', 'workspace: { mode: direct }', 'workspace.mode direct'],
    ['limits: { memory: 1GiB }', 'limits: { memory: 2GiB }', 'limits.memory 2 GiB is more than the 1 GiB'],
    ['limits: { cpus: 1 }', 'limits: { cpus: 1.5 }', 'limits.cpus 1.5'],
    ['limits: { pids: 64 }', 'limits: { pids: 65 }', 'limits.pids 65'],
    ['limits: { disk: 1GiB }', 'limits: { disk: 2GiB }', 'limits.disk'],
    ['limits: { fileSize: 1GiB }', 'limits: { fileSize: 2GiB }', 'limits.fileSize'],
    ['limits: { files: 64 }', 'limits: { files: 65 }', 'limits.files'],
    ['limits: { time: 1h }', 'limits: { time: 2h }', 'limits.time 2 h 0 min is more than the 1 h 0 min'],
    ['limits: { idle: 1m }', 'limits: { idle: 2m }', 'limits.idle'],
  ])('%s refuses %s below it, naming both places, and the other way round is well', (higher, lower, words) => {
    for (const [top, bottom] of [
      ['organisation', 'user'],
      ['organisation', 'project'],
      ['user', 'project'],
    ] as const) {
      const message = refusal({ [top]: higher, [bottom]: lower });
      expect(message).toMatch(/^POLICY_WIDENS /);
      expect(message).toContain(words);
      expect(message).toContain(`${layer(top, '').source}:2:`);
      expect(message).toContain(`${layer(bottom, '').source}:2:`);
      expect(refusal({ [top]: lower, [bottom]: higher })).toBe('nothing was thrown');
      expect(refusal({ [top]: higher, [bottom]: higher })).toBe('nothing was thrown');
    }
  });

  test('an organisation bounds a project across a user that says nothing', () => {
    expect(refusal({ organisation: 'level: team', user: 'limits: { cpus: 1 }', project: 'level: personal' })).toMatch(
      /^POLICY_WIDENS/,
    );
  });

  test.each(['agent: claude', 'image: base'])(
    '%s binds when the organisation writes it and is a default when the user does',
    (choice) => {
      const other = choice.startsWith('agent') ? 'agent: codex' : 'image: codex';
      expect(refusal({ organisation: choice, project: other })).toContain('is not the');
      expect(refusal({ organisation: choice, user: other })).toMatch(/^POLICY_WIDENS/);
      expect(refusal({ user: choice, project: other })).toBe('nothing was thrown');
      expect(refusal({ organisation: choice, user: choice, project: other })).toMatch(/^POLICY_WIDENS/);
    },
  );

  test('a workspace must lie in the one written above', () => {
    expect(refusal({ organisation: 'workspace: { path: /work }', project: 'workspace: { path: src }' })).toBe(
      'nothing was thrown',
    );
    expect(refusal({ organisation: 'workspace: { path: /home/work }', project: 'workspace: { path: src }' })).toMatch(
      /^POLICY_WIDENS/,
    );
    expect(refusal({ organisation: 'workspace: { path: /work/pro }', project: 'workspace: { path: src }' })).toMatch(
      /^POLICY_WIDENS/,
    );
    expect(resolveTexts({ project: 'workspace: { path: src }' }).workspace.path).toBe('/work/project/src');
    expect(resolveTexts({ project: 'level: team' }).workspace.path).toBe('/work/project');
    expect(resolveTexts({ user: 'level: team' }).workspace.path).toBe('/work/here');
  });

  test.each([
    ['agent: cluade', 'there is no agent "cluade" | Did you mean "claude"?'],
    ['image: Bad Name', '"Bad Name" is not the name of a recipe'],
    ['presets: [nmp]', 'there is no preset "nmp" | Did you mean "npm"?'],
    ['presets: [pypi]', "this machine's own configuration, which names none | Set it with: pip config"],
    ['network: [{ host: a.example, credential: antropic }]', 'there is no credential "antropic" | Did you mean "anthropic"?'],
  ])('refuses %s', (text, words) => {
    expect(refusal({ user: text })).toContain(words);
  });
});

describe('the network', () => {
  test('a package preset only reads', () => {
    const policy = resolveTexts({ user: 'presets: [npm, debian, github]' });
    expect(reaches(policy, 'registry.example', { method: 'GET', path: '/x' })).toBe(true);
    expect(reaches(policy, 'registry.example', { method: 'PUT', path: '/x' })).toBe(false);
    expect(reaches(policy, 'registry.example', { method: 'GET', path: '/-/npm/v1/tokens' })).toBe(false);
    expect(reaches(policy, 'debian.example', { method: 'GET', path: '/x' }, 80)).toBe(false);
    expect(reaches(policy, 'debian.example', { method: 'GET', path: '/debian/dists/stable/InRelease' }, 80)).toBe(true);
    expect(reaches(policy, 'github.com', { method: 'POST', path: '/o/r.git/git-upload-pack' })).toBe(true);
    expect(reaches(policy, 'github.com', { method: 'POST', path: '/o/r.git/git-receive-pack' })).toBe(false);
    expect(reaches(policy, 'api.github.com', { method: 'POST', path: '/gists' })).toBe(false);
  });

  test("a written rule takes the place of a preset's and keeps what it leaves out", () => {
    const policy = resolveTexts({
      user: 'presets: [claude]\nnetwork:\n  - { host: api.anthropic.com, upstream: "http://127.0.0.1:9" }',
    });
    expect(policy.network).toHaveLength(1);
    expect(policy.network[0]).toMatchObject({
      credential: 'anthropic',
      upstream: 'http://127.0.0.1:9',
      http: [{ methods: ['POST'], path: '/v1/messages' }],
    });
  });

  test("presets that a layer does not write are those above, or the agent's own", () => {
    expect(
      resolveTexts({ user: 'presets: [claude, npm]\nnetwork: [{ host: a.example }]', project: 'network: [{ host: a.example }]' })
        .presets,
    ).toEqual(['claude', 'npm']);
    expect(resolveTexts({ user: 'agent: claude', project: 'network: [{ host: a.example }]' }).presets).toEqual(['claude']);
    expect(resolveTexts({ user: 'agent: claude\npresets: []' }).network).toEqual([]);
  });

  test.each<[string, string, string]>([
    ['network: [{ host: a.example.com }]', 'network: [{ host: b.example.com }]', 'b.example.com:443, which is not what'],
    ['network: [{ host: a.example.com }]', 'network: [{ host: "*.example.com" }]', '*.example.com:443'],
    ['network: [{ host: "*.a.example.com" }]', 'network: [{ host: a.example.com }]', 'a.example.com:443'],
    ['network: [{ host: a.example.com }]', 'network: [{ host: a.example.com, ports: [443, 80] }]', 'a.example.com:80'],
    [
      'network: [{ host: a.example.com, allow: [/v1/**] }]',
      'network: [{ host: a.example.com, allow: [/**] }]',
      'with more functions than',
    ],
    [
      'network: [{ host: a.example.com, allow: ["GET /v1/**"] }]',
      'network: [{ host: a.example.com, allow: [/v1/x] }]',
      'with more functions than',
    ],
    [
      'network: [{ host: "*.example.com" }, { host: x.example.com, allow: ["GET /"] }]',
      'network: [{ host: "*.example.com" }]',
      'x.example.com:443, with more functions',
    ],
    ['network: [{ host: a.example.com }]', 'network: [{ host: a.example.com, credential: openai }]', ''],
    ['network: []\npresets: []', 'presets: [npm]', 'the preset npm opens registry.example:443'],
    ['presets: [npm]', 'network: [{ host: a.example.com }]', 'a.example.com:443'],
    ['network: []\npresets: []', 'agent: codex\npresets: [codex]', 'the preset codex opens api.openai.com:443'],
  ])('%s refuses %s below it', (higher, lower, words) => {
    const message = refusal({ user: higher, project: lower });
    expect(message).toMatch(/^POLICY_(?:WIDENS|INVALID) \/work\/project\/casemate\.yaml:\d+:\d+: /);
    expect(message).toContain(words);
    if (message.startsWith('POLICY_WIDENS')) {
      expect(message).toMatch(/\/home\/user\/\.config\/casemate\/policy\.yaml:\d+:\d+/);
    }
  });

  test.each<[string, string]>([
    ['network: [{ host: "*.example.com" }]', 'network: [{ host: a.example.com }, { host: "*.b.example.com" }]'],
    ['network: [{ host: a.example.com, ports: [80, 443] }]', 'network: [{ host: a.example.com, ports: [80] }]'],
    ['network: [{ host: a.example.com }]', 'network: [{ host: a.example.com, allow: [/x] }]'],
    [
      'network: [{ host: a.example.com, allow: [/a/**, "GET,HEAD /b"] }]',
      'network: [{ host: a.example.com, allow: ["POST /a/x*", "GET /b"] }]',
    ],
    [
      'network: [{ host: a.example.com, allow: [/a] }, { host: a.example.com, allow: [/b] }]',
      'network: [{ host: a.example.com, allow: [/a, /b] }]',
    ],
    ['presets: [npm]', 'presets: [npm]\nnetwork: []'],
    ['network: [{ host: registry.example, allow: ["GET,HEAD /**"] }]', 'presets: [npm]\nnetwork: []'],
    [
      'network: [{ host: git.example.com, git: [{ repository: "team/*", push: ["agent/*"] }] }]',
      'network: [{ host: git.example.com, git: [{ repository: team/one.git, push: [agent/x] }] }]',
    ],
    ['presets: [npm, github]', 'presets: [github]'],
  ])('%s has room for %s', (higher, lower) => {
    expect(refusal({ user: higher, project: lower })).toBe('nothing was thrown');
  });

  test('a lower rule takes credential, functions and upstream from the rule above when it leaves them out', () => {
    const user = 'network: [{ host: a.example, credential: openai, allow: ["GET /x"], upstream: "http://127.0.0.1:9" }]';
    expect(resolveTexts({ user, project: 'network: [{ host: a.example }]' }).network).toMatchObject([
      {
        origin: { layer: 'project' },
        credential: 'openai',
        upstream: 'http://127.0.0.1:9',
        http: [{ methods: ['GET'], path: '/x' }],
      },
    ]);
  });

  test('two rules that contradict each other on one host are refused with both places', () => {
    const message = refusal({
      user: 'network:\n  - { host: a.example, credential: openai }\n  - { host: a.example, credential: anthropic, allow: [/x] }',
    });
    expect(message).toMatch(/^POLICY_INVALID .*policy\.yaml:4:5: .*policy\.yaml:3:5 decide .* "credential"/);
  });
});

describe('the command line', () => {
  const options = (more: Parameters<typeof commandLineLayer>[0]) => commandLineLayer(more, '/work/here');

  test('overrides user and project', () => {
    const policy = resolveTexts(
      { user: 'runtime: runsc\nagent: { permissions: ask }', project: 'image: codex' },
      options({ runtime: 'runc', permissions: 'skip', image: 'base', workspace: '/other' }),
    );
    expect(policy).toMatchObject({
      runtime: 'runc',
      agent: { permissions: 'skip' },
      image: 'base',
      workspace: { path: '/other' },
    });
    expect(policy.origins['agent.permissions']).toEqual({ layer: 'command line', source: '--skip-permissions' });
  });

  test.each<[string, Parameters<typeof commandLineLayer>[0], string]>([
    ['runtime: runsc', { runtime: 'runc' }, '--runtime: runtime runc is more than the runsc that /etc/casemate/policy.yaml:2:10'],
    ['agent: { permissions: ask }', { permissions: 'skip' }, '--skip-permissions'],
    ['image: base', { image: './x.yaml' }, '--image: image "/work/here/x.yaml" is not the "base" that'],
    ['presets: [npm]', { agent: 'claude' }, '--agent: the preset claude opens api.anthropic.com:443'],
    ['waive: []', { waive: ['disk-limit'] }, '--waive: waiving disk-limit is more than /etc/casemate/policy.yaml:2:8'],
    ['limits: { time: 1h }', { limits: { time: '2h' } }, '--timeout: limits.time'],
  ])('is bound by %s of the organisation', (organisation, more, words) => {
    expect(thrownBy(() => resolveTexts({ organisation }, options(more)))).toContain(`POLICY_WIDENS ${words}`);
  });

  test('adds presets and waivers to those of the files', () => {
    const policy = resolveTexts(
      { user: 'presets: [npm]\nwaive: [disk-limit]' },
      options({ agent: 'claude', waive: ['cpu-limit'] }),
    );
    expect(policy.presets).toEqual(['npm', 'claude']);
    expect(policy.waive).toEqual(['cpu-limit', 'disk-limit']);
  });

  test.each<[Parameters<typeof commandLineLayer>[0], string]>([
    [{ runtime: 'runk' }, 'USAGE --runtime: runtime must be one of runc, crun, runsc, not "runk" | Did you mean "runc"?'],
    [{ waive: ['disk-limits'] }, 'USAGE --waive: waive[0] must be one of'],
    [{ agent: 'No Agent' }, 'USAGE --agent: '],
  ])('names the option of a wrong value: %j', (more, words) => {
    expect(thrownBy(() => options(more))).toContain(words);
  });
});

describe('whatever the resolved policy allows', () => {
  const hosts = ['a.example.com', 'b.example.com', 'x.b.example.com', 'example.com', 'registry.example', 'github.com'];
  const patterns = fc.constantFrom('a.example.com', '*.example.com', 'b.example.com', '*.b.example.com', 'x.b.example.com');
  const allow = fc.option(
    fc.array(fc.constantFrom('/a', '/**', 'GET /*', 'GET,POST /a/**', '/a/*'), { minLength: 1, maxLength: 2 }),
    { nil: undefined },
  );
  const ports = fc.option(fc.subarray([80, 443], { minLength: 1 }), { nil: undefined });
  const network = fc.option(fc.array(fc.record({ host: patterns, allow, ports }), { maxLength: 3 }), { nil: undefined });
  const presets = fc.option(fc.subarray(['npm', 'github']), { nil: undefined });
  const limits = fc.option(fc.record({ cpus: fc.integer({ min: 1, max: 3 }) }), { nil: undefined });
  const level = fc.option(fc.constantFrom('personal', 'team', 'service', 'maximum'), { nil: undefined });
  const file = fc.option(
    fc
      .record({ network, presets, limits, level })
      .map((value) => JSON.stringify(value).slice(1, -1).replaceAll(/,"/g, ', "').replaceAll('":', '": ')),
    { nil: undefined },
  );

  test('each layer that writes about it allows as well', () => {
    let resolved = 0;
    const asYaml = (text: string | undefined) =>
      text === undefined ? undefined : text === '' ? '' : (JSON.parse(`{${text}}`) as Record<string, unknown>);
    const toText = (value: ReturnType<typeof asYaml>) =>
      value === undefined
        ? undefined
        : value === ''
          ? ''
          : Object.entries(value)
              .map(([key, inner]) => `${key}: ${JSON.stringify(inner)}`)
              .join('\n');
    fc.assert(
      fc.property(file, file, file, (organisation, user, project) => {
        const texts = {
          organisation: toText(asYaml(organisation)),
          user: toText(asYaml(user)),
          project: toText(asYaml(project)),
        };
        let policy: Policy;
        try {
          policy = resolveTexts(texts);
        } catch (error) {
          expect(error).toMatchObject({ code: 'POLICY_WIDENS' });
          return;
        }
        resolved += 1;
        for (const kind of ['organisation', 'user', 'project'] as const) {
          const text = texts[kind];
          // What the layer allows by itself, what it does not write being taken from those above it.
          const alone = text === undefined ? undefined : resolvePolicy(upTo(texts, kind), facts, { folder: '/work/here' });
          const states = text?.includes('network:') === true || text?.includes('presets:') === true;
          for (const host of states ? hosts : []) {
            for (const port of [80, 443]) {
              for (const path of ['/', '/a', '/a/b', '/a/b/c', '/o/r/git-upload-pack']) {
                for (const method of ['GET', 'POST']) {
                  if (reaches(policy, host, { method, path }, port) && alone !== undefined) {
                    expect(reaches(alone, host, { method, path }, port), `${kind} ${method} ${host}:${port}${path}`).toBe(true);
                  }
                }
              }
            }
          }
          if (alone !== undefined && text?.includes('limits:') === true) {
            expect(policy.limits.cpus).toBeLessThanOrEqual(alone.limits.cpus);
          }
        }
      }),
      { numRuns: 1500 },
    );
    expect(resolved).toBeGreaterThan(100);
  }, 60_000);

  function upTo(texts: Texts, last: 'organisation' | 'user' | 'project') {
    const kinds = (['organisation', 'user', 'project'] as const).slice(0, ['organisation', 'user', 'project'].indexOf(last) + 1);
    return Object.fromEntries(kinds.flatMap((kind) => (texts[kind] === undefined ? [] : [[kind, layer(kind, texts[kind])]])));
  }
});
