import { expect, it } from 'vitest';

import { credentialsOf, mcpFileText, mcpServers } from '../../../src/agents/mcp-servers.ts';

const fault = (server: object): string => {
  const { error } = mcpServers.safeParse({ a: server });
  return error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('\n') ?? 'nothing';
};

it('a key is named, and its stand-in is what a server finds', () => {
  const servers = mcpServers.parse({
    started: { command: 'node', args: ['x.mjs'], env: { PLAIN: 'x', TOKEN: { credential: 'tracker' } } },
    reached: {
      type: 'http',
      url: 'https://mcp.example.com/mcp',
      headers: { Authorization: { credential: 'docs', prefix: 'Bearer ' } },
    },
  });
  expect(credentialsOf(servers)).toEqual(['tracker', 'docs']);
  const text = mcpFileText(servers, (name) => `phantom-of-${name}`);
  expect(JSON.parse(text)).toEqual({
    mcpServers: {
      started: { command: 'node', args: ['x.mjs'], env: { PLAIN: 'x', TOKEN: 'phantom-of-tracker' } },
      reached: { type: 'http', url: 'https://mcp.example.com/mcp', headers: { Authorization: 'Bearer phantom-of-docs' } },
    },
  });
  expect(() => mcpFileText(servers, () => undefined)).toThrow('there is no credential "tracker"');
});

it('keys in clear, and what cannot be held for one server, are refused by name', () => {
  expect(fault({ command: 'x', env: { TOKEN: 'abc' } })).toContain('a.env.TOKEN: looks like a key');
  expect(fault({ type: 'http', url: 'https://h.example', headers: { Authorization: 'Bearer abc' } })).not.toBe('nothing');
  expect(
    fault({ type: 'http', url: 'https://h.example', headers: { Authorization: { credential: 'x', prefix: 'a: b\r\n' } } }),
  ).not.toBe('nothing');
  expect(fault({ command: 'x', env: { TOKEN: { credential: '../x' } } })).not.toBe('nothing');
  for (const value of [true, false, { allow: ['*'] }, null]) {
    expect(fault({ command: 'x', network_isolation: value })).toContain('a.network_isolation: cannot be held for one server');
  }
  expect(fault({ command: 'x' })).toBe('nothing');
});

it('a preset is a server of an exact version, and what is none is refused by name', () => {
  const servers = mcpServers.parse({ docs: { preset: 'context7' } });
  const { mcpServers: written } = JSON.parse(mcpFileText(servers, () => undefined));
  expect(written.docs).toMatchObject({
    command: 'npx',
    args: ['-y', expect.stringMatching(/^@upstash\/context7-mcp@\d+\.\d+\.\d+$/)],
  });
  expect(fault({ preset: 'serena' })).toBe('a.preset: serena is no preset here: it needs uv, which no image of ours has');
  expect(fault({ preset: 'x' })).toBe('a.preset: is not a preset: context7');
  expect(fault({ preset: 'context7', env: {} })).not.toBe('nothing');
});
