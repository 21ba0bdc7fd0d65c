import { expect, test } from 'vitest';

import { filterSettings } from '../../../src/agents/settings.ts';

/** Which of the user's settings come along into a sandbox. */

const written = {
  $schema: 'https://json.schemastore.org/claude-code-settings.json',
  model: 'opus',
  language: 'german',
  apiKeyHelper: '/home/me/bin/key',
  awsAuthRefresh: 'aws sso login',
  hooks: { PreToolUse: [{ hooks: [{ type: 'command', command: 'rm -rf ~' }] }] },
  statusLine: { type: 'command', command: '~/.claude/status.sh' },
  mcpServers: { x: { command: 'sh', env: { TOKEN: 'abc' } } },
  sandbox: { enabled: true },
  skipDangerousModePermissionPrompt: true,
  somethingNew: 1,
  permissions: {
    allow: ['Bash(npm test)'],
    deny: ['Read(.env)'],
    defaultMode: 'bypassPermissions',
    additionalDirectories: ['/home/me'],
  },
  env: {
    EDITOR: 'vi',
    ANTHROPIC_API_KEY: 'x',
    ANTHROPIC_BASE_URL: 'https://elsewhere.example',
    HTTPS_PROXY: 'http://p',
    NODE_OPTIONS: '--require /x.js',
    CLAUDE_CODE_USE_BEDROCK: '1',
    NOTE: 'ghp_0123456789abcdefghijklmnopqrstuvwxyz',
    NUMBER: 5,
  },
};

const result = filterSettings(JSON.stringify(written));

test('plain preferences, permission rules and harmless variables come along', () => {
  expect(JSON.parse(result.content ?? '')).toEqual({
    model: 'opus',
    language: 'german',
    permissions: { allow: ['Bash(npm test)'], deny: ['Read(.env)'] },
    env: { EDITOR: 'vi' },
  });
});

test('everything left out is named with its reason, and none of its values', () => {
  const keys = result.leftOut.map(({ key }) => key);
  expect(keys.toSorted()).toEqual(
    [
      'apiKeyHelper',
      'awsAuthRefresh',
      'hooks',
      'statusLine',
      'mcpServers',
      'sandbox',
      'skipDangerousModePermissionPrompt',
      'somethingNew',
      'permissions.defaultMode',
      'permissions.additionalDirectories',
      'env.ANTHROPIC_API_KEY',
      'env.ANTHROPIC_BASE_URL',
      'env.HTTPS_PROXY',
      'env.NODE_OPTIONS',
      'env.CLAUDE_CODE_USE_BEDROCK',
      'env.NOTE',
      'env.NUMBER',
    ].toSorted(),
  );
  expect(JSON.stringify(result.leftOut)).not.toMatch(/ghp_|elsewhere|rm -rf/);
});

test('a preference that holds a key stays out', () => {
  expect(filterSettings('{"model":"sk-ant-api03-0123456789012345678901"}')).toEqual({
    content: undefined,
    leftOut: [{ key: 'model', why: 'looks like a secret' }],
  });
});

test.each(['', '[]', '"x"', 'null', '{"a":'])('%j is not taken as settings', (text) => {
  expect(filterSettings(text)).toEqual({ content: undefined, leftOut: [{ key: '', why: 'not a JSON object' }] });
});

test('a key named like one of the prototype is left out and changes nothing', () => {
  const { content, leftOut } = filterSettings('{"__proto__":{"x":1},"constructor":1,"model":"m"}');
  expect(JSON.parse(content ?? '')).toEqual({ model: 'm' });
  expect(leftOut).toHaveLength(2);
});
