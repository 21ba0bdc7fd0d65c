import { expect, it } from 'vitest';

import { credentialsOf, isolatedHosts, isolatedServers, mcpFileText, mcpServers } from '../../../src/agents/mcp-servers.ts';

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
  for (const value of [{ allow: ['*'] }, null, 'api.example.com', ['*'], ['*.com'], ['10.0.0.1'], ['api.example.com:443'], [7]]) {
    expect(fault({ command: 'x', network_isolation: value }), JSON.stringify(value)).not.toBe('nothing');
  }
  for (const value of [true, false, [], ['api.example.com', '*.example.org']]) {
    expect(fault({ command: 'x', network_isolation: value }), JSON.stringify(value)).toBe('nothing');
  }
  const reached = { type: 'http', url: 'https://mcp.example.com/mcp' };
  expect(fault({ ...reached, network_isolation: ['mcp.example.com'] })).toBe('nothing');
  expect(fault({ ...reached, network_isolation: ['mcp.example.com', 'api.example.com'] })).not.toBe('nothing');
  expect(fault({ command: 'x' })).toBe('nothing');
});

it('a preset is a server of an exact version, and what is none is refused by name', () => {
  const servers = mcpServers.parse({ docs: { preset: 'context7' } });
  const { mcpServers: written } = JSON.parse(mcpFileText(servers, () => undefined));
  expect(written.docs).toMatchObject({
    command: 'npx',
    args: ['-y', expect.stringMatching(/^@upstash\/context7-mcp@\d+\.\d+\.\d+$/)],
  });
  expect(fault({ preset: 'x' })).toBe('a.preset: is not a preset: context7, serena');
  expect(isolatedServers(mcpServers.parse({ code: { preset: 'serena' }, docs: { preset: 'context7' } }))).toMatchObject([
    { name: 'code', image: 'serena', hosts: [] },
  ]);
  expect(fault({ preset: 'serena', network_isolation: false })).toContain('cannot be false');
  expect(fault({ preset: 'context7', env: {} })).not.toBe('nothing');
});

it("a server with a list of hosts is reached over a relay, and its command and keys are not in the agent's file", () => {
  const servers = mcpServers.parse({
    tracker: {
      command: 'node',
      args: ['x.mjs'],
      env: { TOKEN: { credential: 'tracker' } },
      network_isolation: ['api.example.com', '*.example.org'],
    },
    alone: { command: 'alone', network_isolation: true },
    shared: { command: 'shared', network_isolation: false },
    docs: { type: 'http', url: 'https://MCP.example.com:8443/mcp', network_isolation: ['mcp.example.com'] },
  });
  expect(isolatedServers(servers)).toMatchObject([
    { name: 'alone', command: ['alone'], hosts: [] },
    { name: 'tracker', command: ['node', 'x.mjs'], hosts: [{ kind: 'exact' }, { kind: 'below' }] },
  ]);
  expect(isolatedHosts(servers)).toEqual([{ name: 'docs', host: 'mcp.example.com', port: 8443 }]);
  const { mcpServers: written } = JSON.parse(mcpFileText(servers, () => 'phantom'));
  expect(written.shared).toEqual({ command: 'shared', args: [], env: {} });
  expect(written.alone.args.slice(2)).toEqual(['mcp-1.casemate.internal', '7700']);
  expect(written.tracker).toMatchObject({ command: 'perl', env: {} });
  expect(written.tracker.args.slice(2)).toEqual(['mcp-2.casemate.internal', '7700']);
});
