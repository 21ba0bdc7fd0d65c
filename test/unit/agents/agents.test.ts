import { expect, test } from 'vitest';

import { canonicalHost } from '../../../src/base/host.ts';
import type { Agent } from '../../../src/agents/agent.ts';
import { agents, isAgentName } from '../../../src/agents/agents.ts';
import { isProviderName } from '../../../src/credentials/providers.ts';

/** The agent table: what every row must keep to, and how the two known agents start. */

const rows: readonly (readonly [string, Agent])[] = Object.entries(agents);
const phantom = `sk-ant-api03-cmph_${'x'.repeat(68)}12345678901234567890AA`;

test.each(rows)('%s names a known provider, canonical hosts and paths beneath the home', (name, agent) => {
  expect(agent.name).toBe(name);
  expect(isProviderName(agent.provider ?? '')).toBe(true);
  for (const { host, http } of agent.hosts) {
    expect(canonicalHost(host)).toBe(host);
    expect(http).toBeDefined();
    for (const allowance of http ?? []) {
      expect(allowance.path).toMatch(/^\/[\w/.*-]*$/);
      expect(allowance.methods).toBeDefined();
    }
  }
  const files = agent.homeFiles({ permissions: 'ask', telemetry: false, phantom });
  for (const path of [
    ...files.map((file) => file.path),
    ...Object.values(agent.classification)
      .flat()
      .map((entry) => entry.path),
  ]) {
    expect(path).toMatch(/^\.[\w-]+(?:\.json)?(?:\/[\w.-]+)?$/);
  }
  expect(files.every((file) => file.mode === 0o600)).toBe(true);
});

test.each(rows)('%s takes nothing of the user at level maximum, and no tokens or transcripts at any', (_, agent) => {
  expect(agent.classification.maximum).toEqual([]);
  const paths = Object.values(agent.classification)
    .flat()
    .map((entry) => entry.path);
  for (const never of [
    '.claude',
    '.claude.json',
    '.claude/.credentials.json',
    '.claude/projects',
    '.claude/history.jsonl',
    '.codex',
    '.codex/auth.json',
    '.codex/config.toml',
    '.codex/sessions',
  ]) {
    expect(paths).not.toContain(never);
  }
});

test.each(rows)('%s has no telemetry host or path unless asked', (_, agent) => {
  const needed = agent.hosts.filter((host) => !host.telemetry).flatMap((host) => host.http?.map((entry) => entry.path) ?? []);
  expect(needed.join(' ')).not.toMatch(/event|metrics|eval|otlp|telemetry/);
});

test('Claude Code always states its permission mode, so that no settings file decides it', () => {
  const { start } = agents.claude;
  expect(start({ permissions: 'ask', prompt: undefined, args: [] })).toEqual(['claude', '--permission-mode', 'default']);
  expect(start({ permissions: 'skip', prompt: undefined, args: ['--verbose'] })).toEqual([
    'claude',
    '--dangerously-skip-permissions',
    '--verbose',
  ]);
  expect(start({ permissions: 'ask', prompt: '-rf', args: [] })).toEqual([
    'claude',
    '-p',
    '--permission-mode',
    'default',
    '--',
    '-rf',
  ]);
  expect(start({ permissions: 'skip', prompt: 'x', args: ['--output-format', 'json'] })).toEqual([
    'claude',
    '-p',
    '--dangerously-skip-permissions',
    '--output-format',
    'json',
    '--',
    'x',
  ]);
});

test('Codex states its approval mode and sandbox', () => {
  const { start } = agents.codex;
  expect(start({ permissions: 'skip', prompt: 'x', args: [] })).toEqual([
    'codex',
    'exec',
    '--dangerously-bypass-approvals-and-sandbox',
    '--skip-git-repo-check',
    '--',
    'x',
  ]);
  expect(start({ permissions: 'ask', prompt: undefined, args: [] })).toEqual([
    'codex',
    '-c',
    'approval_policy="on-request"',
    '-c',
    'sandbox_mode="read-only"',
  ]);
});

test.each([
  ['claude', ['--dangerously-skip-permissions']],
  ['claude', ['--allow-dangerously-skip-permissions']],
  ['claude', ['--permission-mode', 'bypassPermissions']],
  ['claude', ['--permission-mode=bypassPermissions']],
  ['codex', ['--dangerously-bypass-approvals-and-sandbox']],
  ['codex', ['--yolo']],
  ['codex', ['-a', 'never']],
  ['codex', ['-c', 'approval_policy="never"']],
  ['codex', ['-sdanger-full-access']],
] as const)('%s with %j is refused where the policy asks', (name, args) => {
  expect(() => agents[name].start({ permissions: 'ask', prompt: undefined, args })).toThrow('is refused');
  expect(agents[name].start({ permissions: 'skip', prompt: undefined, args })).toContain(args[0]);
});

test('Claude Code finds every question of a first start answered', () => {
  const [file] = agents.claude.homeFiles({ permissions: 'ask', telemetry: false, phantom });
  const state = JSON.parse(file?.content ?? '') as Record<string, unknown>;
  expect(file?.path).toBe('.claude.json');
  expect(state).toMatchObject({
    hasCompletedOnboarding: true,
    customApiKeyResponses: { approved: [phantom.slice(-20)] },
    projects: { '/workspace': { hasTrustDialogAccepted: true } },
  });
  expect(state).not.toHaveProperty('bypassPermissionsModeAccepted');
  const [skipping] = agents.claude.homeFiles({ permissions: 'skip', telemetry: false, phantom: undefined });
  expect(JSON.parse(skipping?.content ?? '')).toMatchObject({
    bypassPermissionsModeAccepted: true,
    customApiKeyResponses: { approved: [] },
  });
});

test('telemetry is off unless asked', () => {
  const env = agents.claude.env;
  expect(env({ permissions: 'ask', telemetry: false, phantom })).toMatchObject({
    DISABLE_TELEMETRY: '1',
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
  });
  expect(env({ permissions: 'ask', telemetry: true, phantom })).not.toHaveProperty('DISABLE_TELEMETRY');
  expect(env({ permissions: 'ask', telemetry: true, phantom })).toMatchObject({ DISABLE_AUTOUPDATER: '1' });
  const [config] = agents.codex.homeFiles({ permissions: 'ask', telemetry: false, phantom });
  expect(config?.content).toContain('metrics_exporter = "none"');
});

test('no variable of an agent holds the phantom: the credential itself says where it goes', () => {
  for (const [, agent] of rows) {
    expect(JSON.stringify(agent.env({ permissions: 'skip', telemetry: true, phantom }))).not.toContain(phantom);
  }
});

test('names from the prototype are no agents', () => {
  expect(isAgentName('claude')).toBe(true);
  expect(isAgentName('constructor')).toBe(false);
});
