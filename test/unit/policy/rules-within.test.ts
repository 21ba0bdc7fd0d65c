import fc from 'fast-check';
import { expect, it } from 'vitest';

import { parseHost } from '../../../src/base/host.ts';
import { decisiveRules } from '../../../src/policy/judging/decide.ts';
import { functionsOf } from '../../../src/policy/judging/functions.ts';
import { firstExcess } from '../../../src/policy/layers/cover-network.ts';
import { rulesWithin } from '../../../src/policy/layers/rules-within.ts';
import { matchesHost } from '../../../src/policy/matching/host-pattern.ts';
import { readHostPattern } from '../../../src/policy/matching/parse-host-pattern.ts';
import type { HostPattern } from '../../../src/policy/policy.ts';
import { rule } from '../../helpers/network-rule.ts';

const pattern = (text: string): HostPattern => {
  const reading = readHostPattern(text);
  if ('fault' in reading) {
    throw new Error(reading.fault);
  }
  return reading.pattern;
};

const names = ['example.com', 'a.example.com', 'b.a.example.com', 'c.example.com', 'other.test.org', 'test.org'];
const patterns = [...names, '*.example.com', '*.a.example.com', '*.test.org'];
const hosts = [...names, 'x.example.com', 'x.a.example.com', 'x.b.a.example.com', 'x.test.org'].map(parseHost);
const ports = [80, 443, 8443];

const someRules = fc
  .array(
    fc.record({
      host: fc.constantFrom(...patterns),
      ports: fc.uniqueArray(fc.constantFrom(...ports), { minLength: 1 }),
      path: fc.constantFrom(undefined, '/a', '/b'),
    }),
    { maxLength: 8 },
  )
  .map((all) =>
    all.map(({ host, ports: own, path }, index) =>
      rule(host, { id: `r${index}`, ports: own, http: path === undefined ? undefined : [{ methods: ['GET'], path }] }),
    ),
  );

it('at a host of the list the rules say what they said, and elsewhere nothing', () => {
  fc.assert(
    fc.property(someRules, fc.uniqueArray(fc.constantFrom(...patterns), { maxLength: 4 }), (rules, list) => {
      const allowed = list.map(pattern);
      const within = rulesWithin(rules, allowed);
      expect(firstExcess(within.rules, rules)).toBeUndefined();
      for (const host of hosts) {
        for (const port of ports) {
          const before = decisiveRules(rules, host, port).map((one) => JSON.stringify(functionsOf(one)));
          const after = decisiveRules(within.rules, host, port).map((one) => JSON.stringify(functionsOf(one)));
          const expected = allowed.some((one) => matchesHost(one, host)) ? new Set(before) : new Set();
          expect(new Set(after), `${host}:${port}`).toEqual(expected);
        }
      }
      const said = allowed.filter((one) => !within.unmet.includes(one));
      expect(said.every((one) => rulesWithin(rules, [one]).rules.length > 0)).toBe(true);
    }),
    { numRuns: 500 },
  );
});

it('a wider rule is left for the one host, under an id that names both, and what no rule allows is told', () => {
  const wide = rule('*.example.com', { id: 'user:1', credential: 'key' });
  const list = [pattern('api.example.com'), pattern('elsewhere.org')];
  expect(rulesWithin([wide], list)).toEqual({
    rules: [{ ...wide, id: 'user:1@api.example.com', host: pattern('api.example.com') }],
    unmet: [pattern('elsewhere.org')],
  });
});
