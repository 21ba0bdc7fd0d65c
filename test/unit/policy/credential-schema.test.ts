import { describe, expect, test } from 'vitest';

import { facts, layer, thrownBy } from './samples.ts';
import { resolvePolicy } from '../../../src/policy/layers/resolve-policy.ts';
import { policyProviders } from '../../../src/policy/providers.ts';
import { providers } from '../../../src/credentials/providers.ts';

/** Credentials as a policy writes them: every kind, bound by host, and every mistake with its place. */

const user = (text: string) => resolvePolicy({ user: layer('user', text) }, facts, { folder: '/work/here' });
const bound = (credential: string): string =>
  `network:\n  - { host: api.example.com, credential: mine, allow: ["POST /v1/**"] }\ncredentials:\n  mine: ${credential}\n`;

test('the gateway has a row for each provider a policy may name, and the policy for each service', () => {
  const generic = ['header', 'bearer', 'basic', 'query', 'body'];
  expect([...Object.keys(policyProviders), ...generic].toSorted()).toEqual(Object.keys(providers).toSorted());
});

test.each([
  ['{ provider: bearer, source: { env: K }, variable: K }', { provider: 'bearer', variable: 'K' }],
  ['{ provider: basic, source: { env: K }, basic: { user: me } }', { basic: { user: 'me' } }],
  ['{ provider: query, source: { env: K }, query: { parameter: api_key } }', { query: { parameter: 'api_key' } }],
  ['{ provider: body, source: { env: K }, body: { field: api_key } }', { body: { field: 'api_key' } }],
  ['{ provider: npm, source: { env: K } }', { provider: 'npm' }],
  ['{ provider: aws, source: { aws: { profile: dev } } }', { source: { kind: 'aws', profile: 'dev' } }],
])('%s is a credential of the host and the functions of its rule', (text, wanted) => {
  const policy = user(bound(text));
  expect(policy.credentials).toMatchObject([{ name: 'mine', ...wanted }]);
  expect(policy.network).toMatchObject([{ credential: 'mine', http: [{ methods: ['POST'], path: '/v1/**' }] }]);
});

test.each(Object.keys(policyProviders))('%s is there without being defined', (name) => {
  const policy = user(`network: [{ host: api.example.com, credential: ${name} }]\n`);
  expect(policy.credentials).toMatchObject([{ name, provider: name }]);
});

describe('a mistake is named with its place', () => {
  test.each([
    ['{ provider: basik, source: { env: K } }', /policy\.yaml:5:\d+.*basic/],
    ['{ provider: basic, source: { env: K } }', /policy\.yaml:5:\d+.*needs "basic"/],
    ['{ provider: query, source: { env: K } }', /needs "query"/],
    ['{ provider: body, source: { env: K } }', /needs "body"/],
    ['{ provider: body, source: { env: K }, query: { parameter: x } }', /needs "body"/],
    ['{ provider: bearer, source: { env: K }, header: { name: x } }', /belongs to the provider header/],
    ['{ provider: github, source: { env: K }, variable: X }', /variable.*belongs to the providers header/],
    ['{ provider: basic, source: { env: K }, basic: { user: "a:b" } }', /without a colon/],
    ['{ provider: query, source: { env: K }, query: { parameter: "a&b" } }', /is not the name of a parameter/],
    ['{ provider: body, source: { env: K }, body: { feild: x } }', /field/],
    ['{ provider: bearer, source: { env: K }, variable: LD_PRELOAD }', /changes how programs start/],
  ])('%s', (text, words) => {
    expect(thrownBy(() => user(bound(text)))).toMatch(words);
  });

  test('a project sends the credential of a service to its own hosts alone', () => {
    const project = (host: string, name: string) => () =>
      resolvePolicy({ project: layer('project', `network: [{ host: ${host}, credential: ${name} }]\n`) }, facts, {
        folder: '/w',
      });
    expect(thrownBy(project('api.github.com', 'github'))).toBe('nothing was thrown');
    expect(thrownBy(project('registry.example', 'npm'))).toBe('nothing was thrown');
    expect(thrownBy(project('bedrock-runtime.eu-west-1.amazonaws.com', 'aws'))).toBe('nothing was thrown');
    expect(thrownBy(project('evil.example.com', 'github'))).toContain('a project file must not send the credential "github"');
    expect(thrownBy(project('other.example.com', 'npm'))).toContain("this machine's own package sources");
    expect(thrownBy(project('evil.example.com', 'aws'))).toContain('must not send');
  });
});
