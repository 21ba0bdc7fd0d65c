import { describe, expect, test } from 'vitest';

import { hasPhantom, isPhantom, makePhantom } from '../../../src/credentials/phantom.ts';
import { awsKeysOf } from '../../../src/credentials/aws/aws-keys.ts';
import { injectionOf, injectionsOf } from '../../../src/credentials/injections.ts';
import { placementFiles, type Placed } from '../../../src/credentials/placements.ts';
import { providers, type CredentialSpec } from '../../../src/credentials/providers.ts';
import { secret } from '../../../src/credentials/secret.ts';

/** What a sandbox finds where its tools look, and where on the wire each credential goes. */

const owner = { sandboxId: 'cm-0123456789abcdef', credentialName: 'x', installationKey: Buffer.alloc(32, 7) };
const spec = (parts: Partial<CredentialSpec>): CredentialSpec => ({
  name: 'x',
  provider: 'header',
  source: { kind: 'env', name: 'X' },
  header: undefined,
  variable: undefined,
  ...parts,
});

test.each([
  ['github', /^ghp_[A-Za-z0-9]{36}$/],
  ['npm', /^npm_[A-Za-z0-9]{36}$/],
  ['pypi', /^pypi-AgEI[A-Za-z0-9_-]{150,}$/],
  ['aws', /^ASIA[A-Z2-7]{16}$/],
  ['google', /^AIza[A-Za-z0-9_-]{35}$/],
  ['azure', /^[A-Za-z0-9_]{84}$/],
] as const)('a phantom for %s has the form of a real key, and is known for a phantom', (name, form) => {
  const phantom = makePhantom(providers[name].phantom, owner);
  expect(phantom).toMatch(form);
  expect(isPhantom(phantom)).toBe(true);
});

test('AWS has three phantoms, each of its form, none like another', () => {
  const { secret: key, token } = providers.aws.parts;
  const made = [makePhantom(key, { ...owner, part: 'secret' }), makePhantom(token, { ...owner, part: 'token' })];
  expect(made[0]).toMatch(/^[A-Za-z0-9/+]{40}$/);
  expect(made[1]).toMatch(/^IQoJb3JpZ2luX2Vj[A-Za-z0-9/+]{300,}$/);
  expect(made.every(isPhantom)).toBe(true);
  expect(made[1]).not.toContain(made[0]?.slice(5, 25));
});

test.each([
  'AKIAIOSFODNN7EXAMPLE',
  'ghp_16C7e42F292c6912E7710c838347Ae178B4a',
  'npm_0123456789abcdefghijklmnopqrstuvwxyz',
  'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
])('a key that is none of ours is no phantom: %s', (text) => {
  expect(hasPhantom(text)).toBe(false);
});

describe('the place on the wire', () => {
  test.each([
    ['github', 'api.github.com', { kind: 'header', header: 'authorization', format: 'Bearer {}' }],
    ['github', 'github.com', { kind: 'basic', user: 'x-access-token' }],
    ['github', 'some.pkg.github.com', { kind: 'header', header: 'authorization', format: 'Bearer {}' }],
    ['github', 'ghcr.io', { kind: 'header', header: 'authorization', format: 'Bearer {}', isBase64: true }],
    ['npm', 'npm.example.com', { kind: 'header', header: 'authorization', format: 'Bearer {}' }],
    ['pypi', 'pypi.example.com', { kind: 'basic', user: '__token__' }],
    ['aws', 's3.amazonaws.com', { kind: 'sigv4' }],
    ['google', 'generativelanguage.googleapis.com', { kind: 'header', header: 'x-goog-api-key', format: '{}' }],
    ['google', 'europe-west1-aiplatform.googleapis.com', { kind: 'header', header: 'authorization', format: 'Bearer {}' }],
    ['azure', 'my.openai.azure.com', { kind: 'header', header: 'api-key', format: '{}' }],
    ['bearer', 'any.example.com', { kind: 'header', header: 'authorization', format: 'Bearer {}' }],
  ])('of %s at %s', (provider, host, wanted) => {
    expect(injectionsOf(spec({ provider }))(host)).toEqual(wanted);
  });

  test('is what the rule says for the generic kinds', () => {
    expect(injectionOf(spec({ provider: 'basic', basic: { user: 'me' } }))).toEqual({ kind: 'basic', user: 'me' });
    expect(injectionOf(spec({ provider: 'query', query: { parameter: 'key' } }))).toEqual({ kind: 'query', parameter: 'key' });
    expect(injectionOf(spec({ provider: 'body', body: { field: 'key' } }))).toEqual({ kind: 'body', field: 'key' });
  });

  test.each([
    spec({ provider: 'basic', basic: { user: 'a:b' } }),
    spec({ provider: 'basic', basic: { user: 'a\r\nb' } }),
    spec({ provider: 'query' }),
    spec({ provider: 'query', query: { parameter: 'a b' } }),
    spec({ provider: 'body' }),
  ])('is refused where it cannot be carried out: %j', (rule) => {
    expect(() => injectionOf(rule)).toThrow('credential "x" needs');
  });
});

describe('a pair of AWS keys', () => {
  const read = (text: string) => awsKeysOf({ kind: 'text', secret: secret(text) });
  const json = '{"Version":1,"AccessKeyId":"AKIAIOSFODNN7EXAMPLE","SecretAccessKey":"s/+=","SessionToken":"t"}';

  test.each([
    ['AKIAIOSFODNN7EXAMPLE:s/+=', undefined],
    ['AKIAIOSFODNN7EXAMPLE:s/+=:t', 't'],
    [json, 't'],
  ])('is read from %s', (text, token) => {
    const keys = read(text);
    expect(keys).toMatchObject({ kind: 'aws', accessKeyId: 'AKIAIOSFODNN7EXAMPLE' });
    expect(keys.kind === 'aws' && [keys.secretAccessKey.reveal(), keys.sessionToken?.reveal()]).toEqual(['s/+=', token]);
  });

  test.each([
    '',
    'AKIAIOSFODNN7EXAMPLE',
    'AKIAIOSFODNN7EXAMPLE:',
    'akia:x',
    'AKIAIOSFODNN7EXAMPLE:a:b:c',
    '{',
    '{}',
    '{"AccessKeyId":1}',
  ])('is not %j, and the error does not show it', (text) => {
    expect(() => read(text)).toThrow('the value is no pair of AWS keys');
  });
});

describe('files of the home', () => {
  const placed = (parts: Partial<Placed>): Placed => ({
    places: [],
    phantom: 'PHANTOM',
    userAt: () => undefined,
    sites: [],
    ...parts,
  });
  const github = placed({
    places: ['git', 'gh', 'npmrc'],
    userAt: (host) => (host === 'github.com' ? 'x-access-token' : undefined),
    sites: ['github.com', 'api.github.com', 'some.pkg.github.com'].map((host) => ({ host, port: 443 })),
  });
  const npm = placed({ places: ['npmrc'], sites: [{ host: 'npm.example.com', port: 8443 }], phantom: 'OTHER' });
  const pypi = placed({ places: ['netrc', 'pypirc'], userAt: () => '__token__', sites: [{ host: 'py.example.com', port: 443 }] });

  test('hold the lines of each tool, several credentials in one file', () => {
    expect(Object.fromEntries(placementFiles([github, npm, pypi]).map(({ path, content }) => [path, content]))).toEqual({
      '.config/gh/hosts.yml': 'github.com:\n    oauth_token: PHANTOM\n    user: x-access-token\n    git_protocol: https\n',
      '.git-credentials': 'https://x-access-token:PHANTOM@github.com\n',
      '.gitconfig':
        '[credential "https://github.com"]\n\thelper =\n\thelper = store\n\tusername = x-access-token\n[url "https://github.com/"]\n\tinsteadOf = git@github.com:\n\tinsteadOf = ssh://git@github.com/\n',
      '.netrc': 'machine py.example.com login __token__ password PHANTOM\n',
      '.npmrc': '//some.pkg.github.com/:_authToken=PHANTOM\n//npm.example.com:8443/:_authToken=OTHER\n',
      '.pypirc': '[distutils]\nindex-servers = pypi\n\n[pypi]\nusername = __token__\npassword = PHANTOM\n',
    });
  });

  test('are not made where no host is bound, and have room for one where the form has', () => {
    expect(placementFiles([placed({ places: ['git', 'gh', 'npmrc', 'netrc', 'pypirc'] })])).toEqual([]);
    const twice = placementFiles([pypi, { ...pypi, phantom: 'SECOND' }]);
    expect(twice.find(({ path }) => path === '.pypirc')?.content).not.toContain('SECOND');
  });
});
