import { describe, expect, it } from 'vitest';

import { isCasemateError } from '../../../src/base/errors.ts';
import { narrowPolicy } from '../../../src/policy/layers/narrow-policy.ts';
import { heldBytes } from '../../helpers/held-bytes.ts';
import { boundedText } from '../../../src/mcp/bounded-text.ts';
import { dockerOptions, narrowingOf } from '../../../src/mcp/docker-options.ts';
import { sessionKeys } from '../../../src/mcp/session-keys.ts';
import type { ToolContext } from '../../../src/mcp/tool-context.ts';
import { tools } from '../../../src/mcp/tools.ts';
import { visibleJson } from '../../../src/base/text.ts';
import { resolveTexts } from '../policy/samples.ts';

describe('options in the words of Docker', () => {
  it('become limits of the plan', () => {
    const read = dockerOptions.parse({
      SecurityOpt: ['no-new-privileges'],
      CapDrop: ['ALL'],
      ReadonlyRootfs: true,
      Memory: '2g',
      CpuQuota: 50_000,
    });
    expect(narrowingOf(read)).toEqual({ memoryBytes: 2 * 1024 ** 3, cpus: 0.5 });
    expect(narrowingOf(dockerOptions.parse({ Memory: 134_217_728 }))).toEqual({ memoryBytes: 134_217_728 });
  });
});

describe('what a caller asks of a policy', () => {
  const policy = resolveTexts({ user: 'limits: { memory: 2GiB, time: 2h }\n' });
  it('is less, or is refused with both sides named', () => {
    expect(narrowPolicy(policy, { memoryBytes: 1024 ** 3, cpus: 1 }).limits).toMatchObject({ memoryBytes: 1024 ** 3, cpus: 1 });
    expect(() => narrowPolicy(policy, { memoryBytes: 4 * 1024 ** 3 })).toThrow(
      /limits\.memory 4 GiB is more than the 2 GiB that .*:2:/,
    );
    expect(() => narrowPolicy(policy, { cpus: 3 })).toThrow('limits.cpus 3 is more than the 2 that the default allows');
    expect(() => narrowPolicy(policy, { timeMs: 3 * 3_600_000 })).toThrow('limits.time');
  });
  it('has times of its own only where no policy says any', () => {
    const unlessSaid = { timeMs: 3_600_000, idleMs: 900_000 };
    expect(narrowPolicy(policy, { unlessSaid }).limits).toMatchObject({ timeMs: 7_200_000, idleMs: 900_000 });
    expect(() => narrowPolicy(policy, { unlessSaid, idleMs: 900_001 })).toThrow('limits.idle');
    expect(narrowPolicy(policy, { unlessSaid, idleMs: 60_000, readonly: true })).toMatchObject({
      limits: { idleMs: 60_000 },
      workspace: { mode: 'readonly' },
    });
  });
});

describe('keys in arguments', () => {
  it('become credentials of the agent, by the name of its provider', () => {
    expect(sessionKeys({ agent: 'claude', agentCredential: 'anthropic', useBedrock: false, apiKey: 'k' })).toMatchObject({
      provider: 'key',
      keys: { anthropic: 'k' },
    });
    expect(sessionKeys({ agent: 'codex', agentCredential: 'openai', useBedrock: false, apiKey: 'k' })).toMatchObject({
      provider: 'key',
      keys: { openai: 'k' },
    });
    const aws = { awsRegion: 'eu-west-1', awsAccessKeyId: 'AKIAABCDEFGHIJKLMNOP', awsSecretAccessKey: 's', awsSessionToken: 't' };
    expect(sessionKeys({ agent: 'claude', agentCredential: 'anthropic', useBedrock: true, ...aws })).toEqual({
      provider: 'bedrock',
      region: 'eu-west-1',
      keys: { aws: 'AKIAABCDEFGHIJKLMNOP:s:t' },
    });
  });
  it('are in no error', () => {
    const asked = {
      agent: 'claude',
      agentCredential: 'anthropic',
      useBedrock: true,
      awsRegion: 'eu-west-1',
      awsAccessKeyId: 'sesame',
      awsSecretAccessKey: 'sesame',
    };
    try {
      sessionKeys(asked);
      expect.unreachable();
    } catch (error) {
      expect(isCasemateError(error) && JSON.stringify([error.message, error.hint])).not.toContain('sesame');
    }
  });
});

describe('output of any length', () => {
  it('is whole while it fits, and else its beginning and its end', () => {
    const short = boundedText(10);
    short.take(Buffer.from('01234'));
    short.take(Buffer.from('56789'));
    expect([short.text(), short.omitted()]).toEqual(['0123456789', 0]);
    const long = boundedText(10);
    for (let index = 0; index < 100_000; index += 1) {
      long.take(Buffer.from(String(index % 10)));
    }
    expect([long.text(), long.omitted()]).toEqual(['01234\n[99990 bytes left out here]\n56789', 99_990]);
    const large = boundedText(2 * 1024 * 1024);
    expect(heldBytes(2_000_000, (piece) => large.take(piece))).toBeLessThan(150_000_000);
    expect(large.text().length).toBe(2_000_000);
  });
});

describe('the tools', () => {
  it('are told apart by name and say what they do', () => {
    expect(new Set(tools.map(({ name }) => name)).size).toBe(tools.length);
    for (const { name, about, inputSchema, outputSchema } of tools) {
      expect(name).toMatch(/^[a-z_]+$/);
      expect(about.length).toBeGreaterThan(20);
      expect([inputSchema['additionalProperties'], outputSchema['additionalProperties']]).toEqual([false, false]);
    }
  });
  it('answer with JSON that drives no terminal', () => {
    const text = visibleJson({ a: '\u001b[31m\u009b\u202e"\\' });
    expect(text).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202e]/);
    expect(JSON.parse(text)).toEqual({ a: '\u001b[31m\u009b\u202e"\\' });
  });
});

describe('texts among arguments', () => {
  it('are whole characters', async () => {
    const command = tools.find(({ name }) => name === 'execute_command');
    const refusal = async (args: object) =>
      // Refused before anything is asked of anybody.
      await command?.call({ sessionId: 's', command: 'id', ...args }, {} as ToolContext).catch((error: unknown) => String(error));
    expect(await refusal({ command: ['echo', 'a\ud800b'] })).toContain('execute_command: command.1: holds half a character');
    expect(await refusal({ env: { ['A\udc00']: 'x' } })).toContain('execute_command: env');
    expect(await refusal({ input: '\ud83d' })).toContain('input: holds half a character');
    expect(await refusal({ input: '\u{1f600}' })).not.toContain('half a character');
  });
});

it('every argument of every tool says what it is', () => {
  const silent = tools.flatMap(({ name, inputSchema }) =>
    Object.entries(inputSchema['properties'] ?? {})
      .filter(([, schema]: [string, unknown]) => typeof schema !== 'object' || schema === null || !('description' in schema))
      .map(([argument]) => `${name}.${argument}`),
  );
  expect(silent).toEqual([]);
});
