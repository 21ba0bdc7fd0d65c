import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parse } from 'yaml';

import { decideExchange } from '../../../src/policy/judging/decide.ts';
import { missingRule } from '../../../src/policy/proposing/missing-rule.ts';
import { policySchema } from '../../../src/policy/written/schema.ts';
import { parseHost } from '../../../src/base/host.ts';
import type { NetworkRule } from '../../../src/policy/policy.ts';

/** As a person would write it into a policy file and the policy would read it. */
function ruleOf(line: string): NetworkRule {
  const [written] = policySchema.parse({ version: 1, network: [parse(line)] }).network ?? [];
  if (written === undefined) {
    throw new Error('no rule');
  }
  const { host, ports = [443], allow, git, mcp } = written;
  return {
    id: 'x',
    host,
    ports,
    credential: undefined,
    http: allow,
    ...(git === undefined ? {} : { git }),
    ...(mcp === undefined ? {} : { mcp: { path: mcp.path, tools: mcp.tools, methods: mcp.methods } }),
    upstream: undefined,
    origin: { layer: 'user', source: 'x' },
  };
}

const host = 'api.example.com';

test('what is missing, once it is written, allows what was asked, and no other method', () => {
  fc.assert(
    fc.property(fc.webPath(), fc.constantFrom('GET', 'POST', 'M-SEARCH'), fc.constantFrom(443, 8443), (path, method, port) => {
      const line = missingRule({ host, port, request: { method, path } });
      if (line === undefined) {
        return;
      }
      const rules = [ruleOf(line)];
      expect(decideExchange(rules, parseHost(host), port, { method, path }).verdict).toBe('allow');
      expect(decideExchange(rules, parseHost(host), port, { method: 'PATCH', path }).verdict).toBe('deny');
    }),
    // Each run reads a whole policy.
    { numRuns: 20 },
  );
}, 20_000);

test.each([
  ['GET', '/o/r.git/info/refs?service=git-upload-pack', '{ host: api.example.com, git: [{ repository: "o/r" }] }'],
  ['POST', '/o/r.git/git-receive-pack', '{ host: api.example.com, git: [{ repository: "o/r", push: [BRANCH] }] }'],
  ['GET', '/x?secret=y', '{ host: api.example.com, allow: ["GET /x"] }'],
])('%s %s', (method, path, expected) => {
  expect(missingRule({ host, port: 443, request: { method, path } })).toBe(expected);
  expect(() => ruleOf(expected)).not.toThrow();
});

test.each(['/a/../b', '/a*b', '/a//b', '/a%2fb', '/x//git-receive-pack'])('no rule says exactly %s', (path) => {
  expect(missingRule({ host, port: 443, request: { method: 'POST', path } })).toBeUndefined();
});

test('contents are named as they were asked for', () => {
  const request = { method: 'POST', path: '/o/r.git/git-receive-pack' };
  const updates = [
    { ref: 'refs/heads/agent/x', change: 'create' },
    { ref: 'refs/tags/v1', change: 'delete' },
  ] as const;
  expect(missingRule({ host, port: 443, request, content: { kind: 'git-push', repository: 'o/r', updates } })).toBe(
    '{ host: api.example.com, git: [{ repository: "o/r", push: ["agent/x", "refs/tags/v1"], changes: [create, delete] }] }',
  );
  const calls = [
    { method: 'tools/call', tool: 'write_file' },
    { method: 'resources/read', tool: undefined },
  ];
  expect(missingRule({ host, port: 443, request: { method: 'POST', path: '/mcp' }, content: { kind: 'mcp', calls } })).toBe(
    '{ host: api.example.com, mcp: { path: "/mcp", tools: ["write_file"], methods: ["resources/read"] } }',
  );
});
