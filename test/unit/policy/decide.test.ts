import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { parseHost } from '../../../src/base/host.ts';
import { decideDestination, decideExchange, decideRequest, decisiveRules } from '../../../src/policy/judging/decide.ts';
import type { NetworkRule } from '../../../src/policy/policy.ts';
import { rule } from './samples.ts';

const api = parseHost('api.example.com');

describe('decideDestination', () => {
  test.each<[string, readonly NetworkRule[], string]>([
    ['no rule', [], 'host-not-allowed'],
    ['another host', [rule('example.com')], 'host-not-allowed'],
    ['a host that ends alike', [rule('pi.example.com')], 'host-not-allowed'],
    ['a wildcard of another name', [rule('*.ample.com')], 'host-not-allowed'],
    ['a wildcard below the host itself', [rule('*.api.example.com')], 'host-not-allowed'],
    ['another port', [rule('api.example.com', { ports: [80, 8443] })], 'port-not-allowed'],
    ['another port under a wildcard', [rule('*.example.com', { ports: [80] })], 'port-not-allowed'],
  ])('denies with %s', (_, rules, reason) => {
    expect(decideDestination(rules, api, 443)).toMatchObject({ verdict: 'deny', reason });
  });

  test.each(['api.example.com', '*.example.com', '*.com.example.com'])('allows by %s only what it names', (pattern) => {
    const verdict = pattern.includes('com.example') ? 'deny' : 'allow';
    expect(decideDestination([rule(pattern)], api, 443).verdict).toBe(verdict);
  });

  test('lets an exact rule beat a wildcard, and a longer wildcard a shorter one', () => {
    const rules = [rule('*.example.com'), rule('*.api.example.com'), rule('x.api.example.com')];
    const ids = (name: string) => decisiveRules(rules, parseHost(name), 443).map(({ id }) => id);
    expect(ids('x.api.example.com')).toEqual(['test:x.api.example.com']);
    expect(ids('y.api.example.com')).toEqual(['test:*.api.example.com']);
    expect(ids('y.example.com')).toEqual(['test:*.example.com']);
  });
});

describe('decideRequest', () => {
  const reads = rule('api.example.com', { http: [{ methods: ['GET'], path: '/v1/**' }] });
  const writes = rule('api.example.com', { http: [{ methods: undefined, path: '/v2/jobs' }] });

  test('unites the functions of rules that say the same about the host', () => {
    expect(decideRequest([reads, writes], { method: 'GET', path: '/v1/x?y' })).toEqual({ verdict: 'allow', rule: reads });
    expect(decideRequest([reads, writes], { method: 'DELETE', path: '/v2/jobs' })).toEqual({ verdict: 'allow', rule: writes });
    expect(decideRequest([reads, writes], { method: 'POST', path: '/v1/x' })).toEqual({
      verdict: 'deny',
      rule: reads,
      reason: 'function-not-allowed',
    });
  });

  test('takes methods as they are written', () => {
    expect(decideRequest([reads], { method: 'get', path: '/v1/x' }).verdict).toBe('deny');
    expect(decideRequest([reads], { method: 'HEAD', path: '/v1/x' }).verdict).toBe('deny');
  });

  test.each(['/v1/../v2', '/v1//x', '/v1/%2e%2e/x', '/v1/a%2fb', '/v1\\x', 'v1/x', '*', ''])(
    'denies the ambiguous path %j where functions are listed',
    (path) => {
      expect(decideRequest([reads], { method: 'GET', path }).verdict).toBe('deny');
    },
  );

  test('lets /** stand for every path, ambiguous ones too, and keeps to its methods', () => {
    const all = rule('registry.example', { http: [{ methods: ['GET'], path: '/**' }] });
    expect(decideRequest([all], { method: 'GET', path: '/@scope%2fname' }).verdict).toBe('allow');
    expect(decideRequest([all], { method: 'PUT', path: '/@scope%2fname' }).verdict).toBe('deny');
    expect(decideRequest([all], { method: 'GET', path: '*' }).verdict).toBe('deny');
  });

  test('asks nothing of the path where everything is allowed', () => {
    expect(decideRequest([rule('api.example.com')], { method: 'GET', path: '/a//b/..' }).verdict).toBe('allow');
  });

  test('denies without rules', () => {
    expect(decideRequest([], { method: 'GET', path: '/' })).toEqual({
      verdict: 'deny',
      rule: undefined,
      reason: 'host-not-allowed',
    });
  });
});

test('the judgement is total and denies whatever no rule names', () => {
  const names = fc.constantFrom('a.example', 'b.a.example', 'c.b.a.example', 'z.example');
  const rules = fc.array(
    fc.record({
      pattern: fc.constantFrom('a.example', '*.a.example', 'b.a.example', '*.b.a.example'),
      ports: fc.subarray([80, 443], { minLength: 1 }),
      path: fc.option(fc.constantFrom('/', '/**', '/a/*'), { nil: undefined }),
    }),
    { maxLength: 4 },
  );
  fc.assert(
    fc.property(rules, names, fc.constantFrom(22, 80, 443), fc.string(), fc.string(), (written, name, port, method, path) => {
      const made = written.map((one) =>
        rule(one.pattern, {
          ports: one.ports,
          http: one.path === undefined ? undefined : [{ methods: undefined, path: one.path }],
        }),
      );
      const decision = decideExchange(made, parseHost(name), port, { method, path });
      expect(['allow', 'deny']).toContain(decision.verdict);
      const isNamed = written.some(
        (one) =>
          one.ports.includes(port) &&
          (one.pattern === name || (one.pattern.startsWith('*.') && name.endsWith(one.pattern.slice(1)))),
      );
      if (!isNamed) {
        expect(decision.verdict).toBe('deny');
      }
      if (decision.verdict === 'allow') {
        expect(decision.rule.ports).toContain(port);
      }
    }),
    { numRuns: 2000 },
  );
});
