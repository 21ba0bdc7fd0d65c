import { expect, test } from 'vitest';

import { isCasemateError } from '../../../src/base/errors.ts';
import { agents } from '../../../src/agents/agents.ts';
import type { Facts } from '../../../src/policy/facts.ts';
import type { Policy } from '../../../src/policy/policy.ts';
import { resolvePolicy } from '../../../src/policy/layers/resolve-policy.ts';
import { facts, layer, thrownBy, type Texts } from './samples.ts';

const withLogin: Facts = { ...facts, agents, logins: ['claude', 'codex'] };

function resolveWith(known: Facts, texts: Texts): Policy {
  const of = (kind: 'organisation' | 'user' | 'project') => (texts[kind] === undefined ? undefined : layer(kind, texts[kind]));
  const layers = { organisation: of('organisation'), user: of('user'), project: of('project') };
  return resolvePolicy(layers, known, { folder: '/work/here' });
}

const used = (known: Facts, texts: Texts): readonly string[] => resolveWith(known, texts).credentials.map(({ name }) => name);

test('where this host has a login of the agent it is used; without one it is the key', () => {
  expect(used(withLogin, { user: 'agent: claude' })).toEqual(['claude-login']);
  expect(used(withLogin, { user: 'agent: codex' })).toEqual(['codex-login']);
  expect(used({ ...facts, agents }, { user: 'agent: claude' })).toEqual(['anthropic']);
});

test('a policy may choose the key although there is a login, and the login although there is none yet', () => {
  expect(used(withLogin, { user: 'agent: { name: claude, provider: key }' })).toEqual(['anthropic']);
  expect(used({ ...facts, agents }, { user: 'agent: { name: claude, provider: login }' })).toEqual(['claude-login']);
});

test.each(['service', 'maximum'])('at the level %s a login is used only where a person or an organisation says so', (level) => {
  expect(used(withLogin, { user: `level: ${level}\nagent: claude` })).toEqual(['anthropic']);
  expect(used(withLogin, { user: `level: ${level}\nagent: { name: claude, provider: login }` })).toEqual(['claude-login']);
  const project = `level: ${level}\nagent: { name: claude, provider: login }`;
  expect(thrownBy(() => used(withLogin, { project }))).toMatch(/POLICY_INVALID.*must not ask for a login at the level/);
});

test('the host of the tokens is opened with a login alone, and only for what is answered on the host', () => {
  const hosts = (texts: Texts) => resolveWith(withLogin, texts).network.map(({ host }) => host.host as string);
  expect(hosts({ user: 'agent: claude' })).toContain('platform.claude.com');
  expect(hosts({ user: 'agent: { name: claude, provider: key }' })).not.toContain('platform.claude.com');
  const open = resolveWith(withLogin, { user: 'agent: claude' }).network.find(({ host }) => host.host === 'platform.claude.com');
  expect(open).toMatchObject({ credential: 'claude-login' });
  expect(open?.http?.map(({ path }) => path)).toEqual(['/v1/oauth/token', '/v1/oauth/token/revoke']);
});

const keyRule = 'network: [{ host: api.anthropic.com, credential: anthropic }]';

test.each([
  ['organisation', keyRule],
  ['user', keyRule],
  ['user', 'network: [{ host: "*.anthropic.com", credential: anthropic, allow: ["POST /v1/**"] }]'],
] as const)('a rule of the %s that binds the host of the model to a key is told of, with what to do', (kind, text) => {
  const texts = kind === 'user' ? { user: `agent: claude\n${text}` } : { organisation: text, user: 'agent: claude' };
  const said = thrownBy(() => used(withLogin, texts));
  expect(said).toMatch(/POLICY_INVALID.*anthropic\.com is bound to the credential "anthropic", but the agent claude signs in/);
  const hint = resolving(() => used(withLogin, texts));
  expect(hint).toContain('agent: { name: claude, provider: key }');
});

test('with the key chosen such a rule holds, and without a login it always did', () => {
  expect(used(withLogin, { user: `agent: { name: claude, provider: key }\n${keyRule}` })).toEqual(['anthropic']);
  expect(used({ ...facts, agents }, { user: `agent: claude\n${keyRule}` })).toEqual(['anthropic']);
  const rule = 'network: [{ host: api.anthropic.com, upstream: "http://127.0.0.1:1" }]';
  expect(used(withLogin, { user: `agent: claude\n${rule}` })).toEqual(['claude-login']);
});

function resolving(work: () => unknown): string {
  try {
    work();
    return '';
  } catch (error) {
    return isCasemateError(error) ? (error.hint ?? '') : '';
  }
}

test('no rule of an agent lets it make itself a key', () => {
  const paths = resolveWith(withLogin, { user: 'agent: claude' }).network.flatMap(
    ({ http }) => http?.map(({ path }) => path) ?? ['everything'],
  );
  expect(paths.filter((path) => /create_api_key|everything|\*\*/.test(path))).toEqual([]);
});
