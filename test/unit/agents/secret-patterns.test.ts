import { expect, test } from 'vitest';

import { isSecretFile, isSecretName, secretIn } from '../../../src/agents/secret-patterns.ts';
import { ownTime } from '../../helpers/own-time.ts';

/** What counts as a secret when files of the user are chosen for a copy. Values are put together here, so that no scanner takes this file for one. */

const letters = 'aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1eF3hJ5kL7nP9rS1uV3xY5';

test.each([
  ['an Anthropic key', `sk-ant-api03-${letters}`],
  ['an OpenAI key', `sk-proj-${letters}`],
  ['an AWS key id', ['AKIA', 'ABCDEFGH23456723'].join('')],
  ['a GitHub token', `ghp_${letters.slice(0, 36)}`],
  ['a GitLab token', `glpat-${letters.slice(0, 20)}`],
  ['a Slack token', ['xoxb', '1234567890', 'abc'].join('-')],
  ['an npm token', `npm_${letters.slice(0, 36)}`],
  ['a Google key', `AIza${letters.slice(0, 35)}`],
  ['a private key', ['-----BEGIN', 'OPENSSH', 'PRIVATE', 'KEY-----'].join(' ')],
  ['a JSON web token', `eyJ${letters.slice(0, 20)}.eyJ${letters.slice(0, 20)}.${letters.slice(0, 20)}`],
  ['a password in an address', ['postgres://me', 'hunter22@db.example/x'].join(':')],
  ['an authorization header', `curl -H "Authorization: Bearer ${letters.slice(0, 30)}"`],
  ['an assigned secret', `export MY_API_KEY="${letters.slice(0, 24)}"`],
])('%s is seen within a text', (form, value) => {
  expect(secretIn(`Some words before.\n${value}\nand after.`)).toBe(form);
});

test.each([
  'Use the token from the environment, never write it down.',
  'password: <your password>',
  'See https://example.com/a/b?c=d and git@github.com:me/project.git',
  'Set ANTHROPIC_API_KEY=$(op read op://vault/key)',
  'The secret of good tests: small steps.',
  'sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
  'http://user:$PASSWORD@localhost:8080/',
])('%j is not taken for a secret', (text) => {
  expect(secretIn(text)).toBeUndefined();
});

test('a long text is judged quickly', () => {
  const usedMs = ownTime();
  for (const text of ['a'.repeat(500_000), 'token'.repeat(100_000), 'eyJ'.repeat(160_000), 'x://'.repeat(120_000)]) {
    secretIn(text);
  }
  expect(usedMs()).toBeLessThan(3000);
});

test('names of variables and files tell, too', () => {
  expect(['MY_TOKEN', 'DB_PASSWORD', 'x-api-key'].every(isSecretName)).toBe(true);
  expect(['EDITOR', 'LANG'].some(isSecretName)).toBe(false);
  expect(['.env', '.env.local', '.netrc', '.credentials.json', 'server.pem', 'id_ed25519'].every(isSecretFile)).toBe(true);
  expect(['review.md', 'SKILL.md', 'environment.md'].some(isSecretFile)).toBe(false);
});
