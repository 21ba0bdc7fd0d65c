import { expect, test } from 'vitest';

import { bindCredential, bindWithoutValue, type BindOptions } from '../../../src/credentials/bind.ts';
import type { BoundCredential } from '../../../src/credentials/credential.ts';
import { isPhantom, makePhantom } from '../../../src/credentials/phantom.ts';
import { isProviderName, phantomVariables, providers, type CredentialSpec } from '../../../src/credentials/providers.ts';
import { environmentOf } from '../../../src/system/environment.ts';

/** Binding a credential of the policy to a sandbox. */

const installationKey = Buffer.alloc(32, 1);

function rule(parts: Partial<CredentialSpec> = {}): CredentialSpec {
  return {
    name: 'main',
    provider: 'anthropic',
    source: { kind: 'env', name: 'KEY' },
    header: undefined,
    variable: undefined,
    ...parts,
  };
}

function options(variables: Record<string, string> = { KEY: 'real-1' }): BindOptions {
  return { sandboxId: 'cm-0123456789abcdef', installationKey, env: environmentOf(variables), uid: 0 };
}

async function valueOf(bound: BoundCredential): Promise<string> {
  const material = await bound.obtain();
  return material.kind === 'text' ? material.secret.reveal() : '';
}

test('the sandbox gets a phantom, the gateway the value', async () => {
  const bound = await bindCredential(rule(), options());
  expect(isPhantom(bound.phantom)).toBe(true);
  expect(await valueOf(bound)).toBe('real-1');
  expect(bound.inject).toEqual({ kind: 'header', header: 'x-api-key', format: '{}' });
  expect(bound.identityHeaders).toEqual(expect.arrayContaining(['x-api-key', 'authorization', 'proxy-authorization', 'cookie']));
  expect(JSON.stringify(bound)).not.toContain('real-1');
});

test('the header that is injected is always among those removed first', async () => {
  const bound = await bindCredential(
    rule({ provider: 'header', header: { name: 'Private-Token', format: 'token {}' } }),
    options(),
  );
  expect(bound.inject).toEqual({ kind: 'header', header: 'private-token', format: 'token {}' });
  expect(bound.identityHeaders[0]).toBe('private-token');
  expect(bound.identityHeaders).toContain('authorization');
});

test('a refresh reads the source again; a failed one keeps the value in use', async () => {
  const variables: Record<string, string> = { KEY: 'real-1' };
  const bound = await bindCredential(rule(), options(variables));
  variables['KEY'] = 'real-2';
  expect(await valueOf(bound)).toBe('real-1');
  await bound.refresh();
  expect(await valueOf(bound)).toBe('real-2');
  delete variables['KEY'];
  await expect(bound.refresh()).rejects.toMatchObject({ code: 'CREDENTIAL_UNAVAILABLE' });
  expect(await valueOf(bound)).toBe('real-2');
});

test('a forgotten value is not given out any more', async () => {
  const bound = await bindCredential(rule(), options());
  bound.forget();
  await expect(bound.obtain()).rejects.toThrow('is not held');
});

test('a binding without a value has the same phantom, and gets its value by a refresh', async () => {
  const bound = await bindCredential(rule(), options());
  const without = bindWithoutValue(rule(), options());
  expect(without.phantom).toBe(bound.phantom);
  await expect(without.obtain()).rejects.toThrow('is not held');
  await without.refresh();
  expect(await valueOf(without)).toBe('real-1');
});

test('a phantom is refused as a real value', async () => {
  const phantom = makePhantom(providers.anthropic.phantom, { ...options(), credentialName: 'x' });
  await expect(bindCredential(rule(), options({ KEY: phantom }))).rejects.toMatchObject({ code: 'CREDENTIAL_UNAVAILABLE' });
});

test('an error names the credential', async () => {
  await expect(bindCredential(rule(), options({}))).rejects.toThrow(
    'credential "main": environment variable KEY is not set or empty',
  );
});

test.each([
  ['an unknown provider', rule({ provider: 'toString' })],
  ['no header', rule({ provider: 'header' })],
  ['a header with a space', rule({ provider: 'header', header: { name: 'a b', format: '{}' } })],
  ['a header with a line feed', rule({ provider: 'header', header: { name: 'a\r\nb', format: '{}' } })],
  ['a header that frames the message', rule({ provider: 'header', header: { name: 'Transfer-Encoding', format: '{}' } })],
  ['the host header', rule({ provider: 'header', header: { name: 'Host', format: '{}' } })],
  ['a format without a place', rule({ provider: 'header', header: { name: 'x-key', format: 'Bearer' } })],
  ['a format with two places', rule({ provider: 'header', header: { name: 'x-key', format: '{}{}' } })],
  ['a format with a line feed', rule({ provider: 'header', header: { name: 'x-key', format: '{}\r\nx: y' } })],
])('%s is refused', async (_, given) => {
  await expect(bindCredential(given, options())).rejects.toMatchObject({ code: 'POLICY_INVALID' });
});

test("the variable of the phantom is the provider's, or the rule's own", () => {
  expect(phantomVariables(rule())).toEqual([{ name: 'ANTHROPIC_API_KEY' }]);
  expect(phantomVariables(rule({ provider: 'openai' }))).toEqual([{ name: 'OPENAI_API_KEY' }]);
  expect(phantomVariables(rule({ provider: 'header', variable: 'GITLAB_TOKEN' }))).toEqual([{ name: 'GITLAB_TOKEN' }]);
  expect(isProviderName('constructor')).toBe(false);
});
