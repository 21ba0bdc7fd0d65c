import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { parseHost } from '../../../src/base/host.ts';
import { decideExchange } from '../../../src/policy/judging/decide.ts';
import { addRules } from '../../../src/policy/proposing/edit-policy.ts';
import type { DeniedRequest } from '../../../src/policy/proposing/grant-rule.ts';
import { propose } from '../../../src/policy/proposing/propose.ts';
import type { Policy } from '../../../src/policy/policy.ts';
import { resolveTexts, rule } from './samples.ts';

const asked = (line: string, port = 443): DeniedRequest => {
  const [method = '', url = ''] = line.split(' ');
  const slash = url.indexOf('/');
  return { host: parseHost(url.slice(0, slash)), port, method, path: url.slice(slash) };
};
const allows = ({ network }: Pick<Policy, 'network'>, { host, port, method = '', path = '' }: DeniedRequest): boolean =>
  decideExchange(network, host, port, { method, path }).verdict === 'allow';
/** The policy with a proposal written into the user's file. */
const withProposal = (user: string, requests: readonly DeniedRequest[]): Policy => {
  const { network } = resolveTexts({ user });
  const text = addRules(`version: 1\n${user}`, propose(network, requests).rules, { comment: 'new' });
  return resolveTexts({ user: text.replace(/^version: 1\n/, '') });
};

describe('a proposal', () => {
  test('names each host by itself, with the methods and paths that were seen', () => {
    const { rules, words } = propose(
      [],
      [asked('GET b.example.com/x'), asked('POST a.example.com/y'), asked('GET a.example.com/y')],
    );
    expect(rules).toEqual([
      { host: 'a.example.com', allow: ['GET,POST /y'] },
      { host: 'b.example.com', allow: ['GET /x'] },
    ]);
    expect(words[0]).toBe('a.example.com:443 would be allowed GET,POST /y, without a credential');
  });

  test('says when a credential of the host goes along', () => {
    const { rules, words } = propose(
      [rule('api.example.com', { credential: 'github', http: [] })],
      [asked('GET api.example.com/z')],
    );
    expect(rules).toEqual([{ host: 'api.example.com', credential: 'github', allow: ['GET /z'] }]);
    expect(words[0]).toContain('with the credential github');
  });

  test('has nothing for what is allowed already', () => {
    expect(propose([rule('api.example.com')], [asked('GET api.example.com/z')]).rules).toEqual([]);
  });

  test('puts a star for ids, and says so', () => {
    const { rules, steps } = propose(
      [],
      ['17', '123e4567-e89b-12d3-a456-426614174000', 'deadbeefdeadbeef01', '01ARZ3NDEKTSV4RRFFQ69G5FAV'].map((id) =>
        asked(`GET api.example.com/users/${id}/posts`),
      ),
    );
    expect(rules[0]?.allow).toEqual(['GET /users/*/posts']);
    expect(steps).toEqual(['ids in paths stand as *']);
  });

  test('puts a star for a segment only where eight paths or more differ in it', () => {
    const names = (count: number) =>
      Array.from({ length: count }, (_, index) => asked(`GET api.example.com/pkg/${'abcdefghij'.charAt(index)}x`));
    expect(propose([], names(7)).rules[0]?.allow).toHaveLength(7);
    expect(propose([], names(8)).rules[0]?.allow).toEqual(['GET /pkg/*']);
  });

  test('leaves out what a rule cannot name, and says why', () => {
    const { rules, leftOut } = propose([], [asked('GET api.example.com/@scope%2fname'), asked('GET api.example.com/ok')]);
    expect(rules[0]?.allow).toEqual(['GET /ok']);
    expect(leftOut).toMatchObject([{ asked: 'GET api.example.com:443/@scope%2fname' }]);
  });

  test('never goes beyond the organisation, not by making a path general either', () => {
    const bound = [rule('api.example.com', { http: [{ methods: ['GET'], path: '/users/17' }] })];
    const { rules, leftOut } = propose([], [asked('GET api.example.com/users/17'), asked('GET api.example.com/users/18')], {
      bound,
    });
    expect(rules[0]?.allow).toEqual(['GET /users/17']);
    expect(leftOut).toMatchObject([{ why: 'the organisation does not allow it' }]);
  });

  test('for a host of a preset keeps what the preset allows there', () => {
    const user = 'presets: [claude]\n';
    const wanted = asked('GET api.anthropic.com/v1/new');
    const before = asked('POST api.anthropic.com/v1/messages');
    const policy = withProposal(user, [wanted]);
    expect([allows(policy, wanted), allows(policy, before)]).toEqual([true, true]);
    expect(
      policy.network
        .filter(({ host }) => host.host === 'api.anthropic.com')
        .every(({ credential }) => credential === 'anthropic'),
    ).toBe(true);
  });

  const word = fc.stringMatching(/^[g-z]{1,6}$/);
  const path = fc.array(word, { minLength: 1, maxLength: 3 }).map((parts) => `/${parts.join('/')}`);
  const line = fc.record({
    host: fc.constantFrom('a.example.com', 'b.example.com', 'x.wild.example.net'),
    method: fc.constantFrom('GET', 'POST'),
    path,
  });
  const requestOf = ({ host, method, path: where }: { host: string; method: string; path: string }): DeniedRequest =>
    asked(`${method} ${host}${where}`);
  const policies = fc.constantFrom(
    'network: []\n',
    'network:\n  - host: a.example.com\n    allow: ["GET /g/**"]\n',
    'network:\n  - host: "*.wild.example.net"\n    allow: ["GET /**"]\n',
    'presets: [claude]\n',
  );

  test('written into a file allows what was seen and what was allowed before, and nothing else (property)', () => {
    fc.assert(
      fc.property(
        policies,
        fc.array(line, { minLength: 1, maxLength: 5 }),
        fc.array(line, { maxLength: 10 }),
        (user, seen, others) => {
          const before = resolveTexts({ user });
          const after = withProposal(user, seen.map(requestOf));
          for (const one of seen.map(requestOf)) {
            expect(allows(after, one)).toBe(true);
          }
          for (const one of others.map(requestOf)) {
            const isSeen = seen.map(requestOf).some((other) => JSON.stringify(other) === JSON.stringify(one));
            expect(allows(after, one)).toBe(isSeen || allows(before, one));
          }
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe('an edit of a policy file', () => {
  const rules = [{ host: 'new.example.com', allow: ['GET /x'] }];
  const edit = (text: string | undefined) => addRules(text, rules, { comment: 'why' });

  test('keeps comments, order, quotes and the way lists are written', () => {
    const text = [
      '# ours',
      'version: 1',
      '',
      '# the network',
      'network:',
      '- host: "a.example.com" # first',
      "  allow: ['GET /a']",
      '',
      '# the rest',
      'level: team',
      '',
    ].join('\n');
    const after = edit(text);
    for (const one of text.split('\n')) {
      expect(after.split('\n')).toContain(one);
    }
    expect(after).toContain('# why\n- host: new.example.com\n  allow:\n  - GET /x\n');
    expect(after.indexOf('new.example.com')).toBeLessThan(after.indexOf('# the rest'));
  });

  test.each(['version: 1\nnetwork: []\n', 'version: 1\n', undefined])('adds the list to %j', (text) => {
    expect(edit(text)).toBe('version: 1\nnetwork:\n  # why\n  - host: new.example.com\n    allow:\n      - GET /x\n');
  });

  test('opens a list in brackets, and keeps what is in it', () => {
    const after = edit('version: 1\nnetwork: [{ host: a.example.com }] # here\n');
    expect(resolveTexts({ user: after.replace('version: 1\n', '') }).network.map(({ host }) => host.host)).toEqual([
      'a.example.com',
      'new.example.com',
    ]);
    expect(after).toContain('# here');
  });

  test('adds nothing to what is not a policy', () => {
    expect(() => edit('- a\n')).toThrow('nothing is added');
    expect(() => edit('a: [\n')).toThrow('nothing is added');
  });
});
