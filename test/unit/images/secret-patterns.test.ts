/** What counts as a credential in a file of an image. */
import { expect, test } from 'vitest';

import { secretFileNames, secretPatterns } from '../../../src/images/checks/secret-patterns.ts';

const matching = (text: string): string | undefined =>
  secretPatterns.find(({ expression }) => new RegExp(expression, 'm').test(text))?.name;

// Put together here, so that no scanner of this repository takes them for real.
const dashes = '-'.repeat(5);
const letters = (count: number): string => 'aB3dE6gH9'.repeat(12).slice(0, count);

test.each([
  [`${dashes}BEGIN OPENSSH PRIVATE KEY${dashes}\nabc`, 'private key'],
  [`${dashes}BEGIN PRIVATE KEY${dashes}`, 'private key'],
  [`key = sk-ant-api03-${letters(90)}`, 'Anthropic key'],
  [`sk-proj-${letters(60)}`, 'OpenAI key'],
  [`ghp_${letters(36)}`, 'GitHub token'],
  [`AKIA${letters(9).toUpperCase().replaceAll(/[0-9]/g, '2')}ABCDEFG`, 'AWS access key'],
  [`//registry.test/:_authToken=${letters(36)}`, 'npm login'],
  [`https://someone:${letters(20)}@host.test/x`, 'login in an address'],
])('%j is found', (text, name) => {
  expect(matching(text)).toBe(name);
});

test.each([
  'if (line === "-----BEGIN RSA PRIVATE KEY-----")',
  'sk-ant-...',
  'AKIAIOSFODNN7EXAMPLEMORE',
  '//somewhere-else.test/:_authToken=MYTOKEN1',
  '//registry.test/:_authToken=${NPM_TOKEN}',
  'https://user:password@host.test/',
  '-----BEGIN PUBLIC KEY-----',
])('%j is not', (text) => {
  expect(matching(text)).toBeUndefined();
});

test('files are known by their names', () => {
  for (const path of ['workspace/.env', 'root/.ssh/id_ed25519', 'home/agent/.netrc', 'home/agent/.aws/credentials']) {
    expect(secretFileNames.test(path)).toBe(true);
  }
  for (const path of ['usr/share/x/.envrc.example', 'etc/environment', 'usr/lib/id_rsa.pub', 'a.env']) {
    expect(secretFileNames.test(path)).toBe(false);
  }
});
