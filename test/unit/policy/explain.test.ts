import { describe, expect, test } from 'vitest';

import { parseHost } from '../../../src/base/host.ts';
import { explain, explainLines } from '../../../src/policy/proposing/explain.ts';
import { hashPolicy, sha256Of } from '../../../src/policy/hash.ts';
import { keysAt, policyJsonSchema, type JsonSchema } from '../../../src/policy/written/json-schema.ts';
import { policyReference } from '../../../src/policy/written/reference.ts';
import { resolveTexts } from './samples.ts';

const policy = resolveTexts({
  user: 'agent: claude\npresets: [claude, npm]\nnetwork:\n  - { host: "*.example.com" }\n  - { host: a.example.com, ports: [443, 8443], allow: ["GET /x"] }',
});
const ask = (host: string, port = 443, request?: { method: string; path: string }) =>
  explain(policy, { host: parseHost(host), port, request });

describe('explain', () => {
  test('names the rule, the file and the line that decide', () => {
    const explanation = ask('a.example.com', 443, { method: 'GET', path: '/x?y' });
    expect(explanation).toMatchObject({
      verdict: 'allow',
      rule: { id: 'user:policy.yaml:6', place: '/home/user/.config/casemate/policy.yaml:6:5', functions: ['GET /x'] },
      overruled: [{ id: 'user:policy.yaml:5', host: '*.example.com' }],
    });
  });

  test('says for a preset which file lists it', () => {
    expect(explainLines(ask('api.anthropic.com'))).toEqual([
      'allowed  api.anthropic.com:443',
      '  rule          preset:claude:1  (preset claude, from /home/user/.config/casemate/policy.yaml:3:11)',
      '                api.anthropic.com on port 443',
      '                  POST /v1/messages',
      '                with the credential anthropic',
    ]);
  });

  test.each<[string, number, { method: string; path: string } | undefined, string, string]>([
    ['b.example', 443, undefined, 'no rule names this host', '{ host: b.example }'],
    ['a.example.com', 22, undefined, 'a rule names this host, but not this port', '{ host: a.example.com, ports: [22] }'],
    [
      'a.example.com',
      8443,
      { method: 'POST', path: '/x?q' },
      'but not this method and path',
      '{ host: a.example.com, ports: [8443], allow: ["POST /x"] }',
    ],
  ])('says for %s:%i why it is denied and what would allow it', (host, port, request, reason, hint) => {
    const lines = explainLines(ask(host, port, request)).join('\n');
    expect(lines).toMatch(/^denied/);
    expect(lines).toContain(reason);
    expect(lines).toContain(hint);
  });

  test('shows control characters of a question as escapes', () => {
    expect(explainLines(ask('a.example.com', 443, { method: 'G\u001b', path: '/\u001b[2J' })).join('')).not.toContain('\u001b');
  });
});

describe('the hash', () => {
  test('is that of the canonical form: order and absent members do not matter', () => {
    expect(sha256Of({ b: 1, a: [1, 2] })).toBe(sha256Of({ a: [1, 2], c: undefined, b: 1 }));
    expect(sha256Of({})).toBe('44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a');
    expect(hashPolicy(policy)).toMatch(/^[0-9a-f]{64}$/);
  });
});

describe('the JSON Schema', () => {
  const walk = (schema: JsonSchema): readonly (readonly [string, JsonSchema])[] => [
    ...Object.entries(schema.properties ?? {}).flatMap(([key, value]) => [[key, value] as const, ...walk(value)]),
    ...(schema.items === undefined ? [] : walk(schema.items)),
    ...(typeof schema.additionalProperties === 'object' ? walk(schema.additionalProperties) : []),
    ...(schema.anyOf ?? []).flatMap(walk),
  ];

  test('describes every key, and the reference page has a row for each', () => {
    const keys = walk(policyJsonSchema());
    expect(keys.length).toBeGreaterThan(35);
    expect(keys.filter(([, value]) => (value.description ?? '') === '').map(([key]) => key)).toEqual([]);
    const page = policyReference();
    for (const [key] of keys) {
      expect(page).toMatch(new RegExp(`\\| \`(?:[\\w.[\\]]*\\.)?${key}\` \\|`));
    }
  });

  test('allows no other keys anywhere', () => {
    const isClosed = (schema: JsonSchema): boolean => schema.properties === undefined || schema.additionalProperties === false;
    expect([policyJsonSchema(), ...walk(policyJsonSchema()).map(([, value]) => value)].every(isClosed)).toBe(true);
  });

  test('knows the keys of a place', () => {
    expect(keysAt(['network', 3])).toEqual(['host', 'ports', 'credential', 'allow', 'git', 'mcp', 'upstream']);
    expect(keysAt(['agent'])).toEqual(['name', 'permissions', 'telemetry', 'provider', 'region', 'project']);
    expect(keysAt(['credentials', 'x', 'source']).slice(0, 4)).toEqual(['env', 'file', 'command', 'stored']);
    expect(keysAt(['level', 'x'])).toEqual([]);
  });
});
