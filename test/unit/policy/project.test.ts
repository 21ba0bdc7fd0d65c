import { describe, expect, test } from 'vitest';

import { projectGrants } from '../../../src/policy/layers/project-grants.ts';
import { commandLineLayer } from '../../../src/policy/written/command-line-layer.ts';
import { resolveTexts, thrownBy, type Texts } from './samples.ts';

const refusal = (texts: Texts): string => thrownBy(() => resolveTexts(texts));
const example = 'credentials:\n  example: { provider: header, source: { env: EXAMPLE_KEY }, header: { name: X-Key } }';

describe('a project file', () => {
  test.each([
    ['waive: [seccomp]', 'must not waive a protection layer'],
    ['waive: []', 'must not waive a protection layer'],
    [example, 'must not define credentials'],
    ['network: [{ host: a.example, upstream: "http://127.0.0.1:1" }]', 'must not send a host elsewhere'],
    ['workspace: { path: /etc }', 'must not name a workspace outside its folder: /etc'],
    ['workspace: { path: .. }', 'must not name a workspace outside its folder: ..'],
    ['workspace: { path: "a/../../b" }', 'must not name a workspace outside its folder'],
    ['image: /tmp/recipe.yaml', 'must not name a recipe outside its folder'],
    ['image: ../recipe.yaml', 'must not name a recipe outside its folder'],
    ['image: a/../../recipe.yaml', 'must not name a recipe outside its folder'],
  ])('is refused with %s', (project, words) => {
    expect(refusal({ project })).toMatch(/^POLICY_INVALID \/work\/project\/casemate\.yaml:\d+:\d+: a project file /);
    expect(refusal({ project })).toContain(words);
  });

  test.each(['.', 'src', './a/b', 'a/../b', '..a'])('may work in %s', (path) => {
    expect(refusal({ project: `workspace: { path: "${path}" }` })).toBe('nothing was thrown');
  });

  test('may not send the key of a known API to another host', () => {
    const project = 'network: [{ host: evil.example, credential: anthropic }]';
    expect(refusal({ project })).toMatch(
      /must not send the credential "anthropic" to evil\.example \| It may go to api\.anthropic\.com/,
    );
    expect(refusal({ project: 'network: [{ host: "*.anthropic.com", credential: anthropic }]' })).toContain(
      'must not send the credential',
    );
    expect(refusal({ project: 'network: [{ host: api.openai.com, credential: anthropic }]' })).toContain(
      'must not send the credential',
    );
    expect(refusal({ project: 'network: [{ host: api.anthropic.com, credential: anthropic }]' })).toBe('nothing was thrown');
  });

  test('may not send a key of a known API elsewhere under another name either', () => {
    const user = 'credentials: { work: { provider: anthropic, source: { file: ~/key } } }';
    expect(refusal({ user, project: 'network: [{ host: evil.example, credential: work }]' })).toContain(
      'must not send the credential "work"',
    );
  });

  test("may do so where the user's own file does", () => {
    const rule = 'network: [{ host: llm.example, credential: anthropic }]';
    expect(refusal({ user: rule, project: rule })).toBe('nothing was thrown');
    expect(
      refusal({ user: `${rule}\npresets: []`, project: 'network: [{ host: evil.example, credential: anthropic }]' }),
    ).toContain('must not send');
  });

  test('may not bind a credential beyond the hosts its owner names', () => {
    const user = example
      .replace(' }', ', hosts: [a.example] }')
      .replace('EXAMPLE_KEY, hosts: [a.example] }', 'EXAMPLE_KEY }')
      .replace('X-Key } }', 'X-Key }, hosts: ["*.a.example"] }');
    expect(refusal({ user, project: 'network: [{ host: b.example, credential: example }]' })).toMatch(
      /^POLICY_WIDENS .* bound to b\.example.*policy\.yaml:3:12/,
    );
    expect(refusal({ user, project: 'network: [{ host: x.a.example, credential: example }]' })).toBe('nothing was thrown');
  });

  test('may not loosen a credential rule to an unguarded tunnel to the same host', () => {
    const user = 'network: [{ host: a.example, credential: openai, allow: [/x] }]';
    const { network } = resolveTexts({ user, project: 'network: [{ host: a.example }]' });
    expect(network).toMatchObject([{ credential: 'openai', http: [{ path: '/x' }] }]);
  });
});

describe('an organisation', () => {
  test('keeps the credentials it defines from being changed', () => {
    expect(refusal({ organisation: example, user: example.replace('EXAMPLE_KEY', 'OTHER') })).toMatch(
      /^POLICY_WIDENS .*differs from the one that \/etc\/casemate/,
    );
    expect(refusal({ organisation: example, user: example })).toBe('nothing was thrown');
  });
});

describe('projectGrants', () => {
  test('is empty for a project that only narrows', () => {
    const project =
      'level: maximum\nruntime: runsc\nworkspace: { mode: readonly }\nlimits: { memory: 1GiB, time: 1h }\nnetwork: []\npresets: []';
    expect(projectGrants(resolveTexts({ project }))).toEqual([]);
  });

  test('names all that a project opens, in words for a person', () => {
    const project = [
      'agent: { name: claude, permissions: skip, telemetry: true }',
      'image: ./tools/recipe.yaml',
      'presets: [claude, npm]',
      'network: [{ host: "*.example.com", ports: [8443], credential: example, allow: ["GET /v1/**", /x] }]',
      'limits: { memory: 8GiB, cpus: 1, files: 9000 }',
    ].join('\n');
    expect(projectGrants(resolveTexts({ user: example, project }))).toEqual([
      'starts the agent claude',
      'lets the agent act without asking',
      'lets the agent report its use to its maker',
      'builds and uses the image of its own recipe /work/project/tools/recipe.yaml',
      'reaches api.anthropic.com on port 443, with the credential anthropic, only POST /v1/messages',
      'reaches telemetry.example on port 443',
      'reaches registry.example on port 443, only reading npm packages',
      'reaches *.example.com on port 8443, with the credential example, only GET /v1/**; /x',
      'raises the limit memory to 8 GiB (otherwise 4 GiB)',
      'raises the limit files to 9000 (otherwise 4096)',
    ]);
  });

  test('counts the hosts of an agent that only the project names', () => {
    expect(projectGrants(resolveTexts({ project: 'agent: claude' }))).toEqual([
      'starts the agent claude',
      'reaches api.anthropic.com on port 443, with the credential anthropic, only POST /v1/messages',
    ]);
    expect(projectGrants(resolveTexts({ user: 'agent: claude', project: 'agent: claude' }))).toEqual([]);
    expect(projectGrants(resolveTexts({ project: 'level: team' }, commandLineLayer({ agent: 'claude' }, '/work/here')))).toEqual(
      [],
    );
  });

  test('leaves out what a layer above has written itself', () => {
    const user = 'agent: { permissions: skip }\npresets: [npm]\nnetwork: [{ host: "*.example.com" }]';
    const project = 'agent: { permissions: skip }\npresets: [npm]\nnetwork: [{ host: a.example.com }]';
    expect(projectGrants(resolveTexts({ user, project }))).toEqual([]);
  });
});
