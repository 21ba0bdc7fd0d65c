import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { parseHost } from '../../../src/base/host.ts';
import { decideExchange } from '../../../src/policy/judging/decide.ts';
import {
  grantRule,
  isWithinBound,
  mayBeGranted,
  onceRule,
  type DeniedRequest,
} from '../../../src/policy/proposing/grant-rule.ts';
import type { NetworkRule } from '../../../src/policy/policy.ts';
import { rule } from './samples.ts';

const request = (host: string, method: string, path: string, port = 443): DeniedRequest => ({
  host: parseHost(host),
  port,
  method,
  path,
});
const added = (rules: readonly NetworkRule[], asked: DeniedRequest): readonly NetworkRule[] => {
  const grant = grantRule(rules, asked, { id: 'new' });
  return 'rule' in grant ? [...rules, ...grant.kept, grant.rule] : rules;
};
const verdict = (rules: readonly NetworkRule[], host: string, line: string, port = 443): string => {
  const [method = '', path = ''] = line.split(' ');
  return decideExchange(rules, parseHost(host), port, { method, path }).verdict;
};

describe('a rule for one request', () => {
  test('allows this method and path at this host and port, and nothing beside it', () => {
    const rules = added([], request('api.example.com', 'GET', '/v1/things'));
    expect(verdict(rules, 'api.example.com', 'GET /v1/things')).toBe('allow');
    for (const [host, line, port] of [
      ['api.example.com', 'POST /v1/things', 443],
      ['api.example.com', 'GET /v1/things/1', 443],
      ['api.example.com', 'GET /v1/things', 80],
      ['other.example.com', 'GET /v1/things', 443],
      ['x.api.example.com', 'GET /v1/things', 443],
    ] as const) {
      expect(verdict(rules, host, line, port)).toBe('deny');
    }
  });

  test('beside a wildcard leaves all that the wildcard allows there', () => {
    const rules = added(
      [rule('*.example.com', { http: [{ methods: ['GET'], path: '/**' }] })],
      request('a.example.com', 'POST', '/x'),
    );
    expect(verdict(rules, 'a.example.com', 'POST /x')).toBe('allow');
    expect(verdict(rules, 'a.example.com', 'GET /anything')).toBe('allow');
    expect(verdict(rules, 'a.example.com', 'POST /y')).toBe('deny');
    expect(verdict(rules, 'b.example.com', 'POST /x')).toBe('deny');
  });

  test('keeps the credential and the upstream of the host', () => {
    const known = rule('api.example.com', {
      credential: 'github',
      upstream: 'http://127.0.0.1:1',
      http: [{ methods: ['GET'], path: '/a' }],
    });
    const grant = grantRule([known], request('api.example.com', 'POST', '/b'), { id: 'new' });
    expect('rule' in grant && grant.rule).toMatchObject({ credential: 'github', upstream: 'http://127.0.0.1:1' });
  });

  test.each(['/a*b', '/a/**', '//a', '/a/../b', '/a%2fb'])(
    'is not made for the path %s, which a rule would read as more or not at all',
    (path) => {
      expect(grantRule([], request('api.example.com', 'GET', path), { id: 'new' })).toHaveProperty('fault');
    },
  );

  test('allows exactly what was asked for, whatever the path (property)', () => {
    const segment = fc.stringMatching(/^[A-Za-z0-9._~-]{1,8}$/).filter((text) => !/^\.+$/.test(text));
    const path = fc.array(segment, { minLength: 1, maxLength: 4 }).map((parts) => `/${parts.join('/')}`);
    fc.assert(
      fc.property(path, path, fc.constantFrom('GET', 'POST', 'PUT'), (asked, other, method) => {
        const rules = added([], request('api.example.com', 'GET', asked));
        const isSame = method === 'GET' && other === asked;
        expect(verdict(rules, 'api.example.com', `GET ${asked}`)).toBe('allow');
        expect(verdict(rules, 'api.example.com', `${method} ${other}`)).toBe(isSame ? 'allow' : 'deny');
      }),
    );
  });
});

describe('the bound of the organisation', () => {
  const bound = [rule('api.example.com', { http: [{ methods: ['GET'], path: '/v1/**' }] })];

  test('lets a person approve what lies within it', () => {
    expect(mayBeGranted([], request('api.example.com', 'GET', '/v1/x'), bound)).toBe(true);
  });

  test.each([
    request('api.example.com', 'POST', '/v1/x'),
    request('api.example.com', 'GET', '/v2'),
    request('api.example.com', 'GET', '/v1/x', 8443),
    request('other.example.com', 'GET', '/v1/x'),
  ])('does not even have a person asked about %j', (asked) => {
    expect(mayBeGranted([], asked, bound)).toBe(false);
    expect(mayBeGranted([], asked, undefined)).toBe(true);
  });

  test('holds for functions that a person widens by hand', () => {
    const wide = grantRule([], request('api.example.com', 'GET', '/v1/x'), { id: 'new', functions: 'all' });
    expect('rule' in wide && isWithinBound(wide.rule, bound)).toBe(false);
    const within = grantRule([], request('api.example.com', 'GET', '/v1/x'), {
      id: 'new',
      functions: [{ methods: ['GET'], path: '/v1/x/**' }],
    });
    expect('rule' in within && isWithinBound(within.rule, bound)).toBe(true);
  });

  test('does not let a credential be used where the organisation has none', () => {
    const keyed = [rule('api.example.com', { credential: 'github', http: [] })];
    expect(mayBeGranted(keyed, request('api.example.com', 'GET', '/v1/x'), bound)).toBe(false);
  });
});

test('a rule for one exchange alone covers whatever that exchange was', () => {
  const once = onceRule([], request('api.example.com', 'GET', '/a*b'), 'approval:x');
  expect(once).toMatchObject({ id: 'approval:x', http: undefined, ports: [443] });
});
