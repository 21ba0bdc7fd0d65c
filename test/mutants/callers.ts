import type { Mutant } from './mutant.ts';

/** What a caller over MCP has, and no more. */
export const callerMutants: readonly Mutant[] = [
  {
    name: 'callers-share-sandboxes',
    weakens: 'every sandbox is there for every caller',
    file: 'src/daemon/caller-calls.ts',
    find: "  return row?.caller !== undefined && (row.caller === name || role === 'admin');",
    replace: "  return row !== undefined && name !== '' && String(role) !== '';",
    caughtBy: ['callers.bounds'],
  },
  {
    name: 'caller-reads-any-file',
    weakens: 'what a caller takes in may lie anywhere on the host',
    file: 'src/mcp/host-place.ts',
    find: '  if (root === undefined) {',
    replace:
      "  if (root === undefined && plain !== '') {\n    return { root: '/', parts: plain.slice(1).split('/') };\n  }\n  if (root === undefined) {",
    caughtBy: ['callers.bounds'],
  },
  {
    name: 'caller-writes-what-runs',
    weakens: 'a transfer may write what programs of the host act on by themselves',
    file: 'src/mcp/host-place.ts',
    find: '  if (name !== undefined) {',
    replace: "  if (name === 'never') {",
    caughtBy: ['callers.bounds'],
  },
  {
    name: 'server-has-all-hosts',
    weakens: 'a server with a list of hosts gets the whole policy of its session',
    file: 'src/sandbox/companion-plans.ts',
    find: '    network: rules,\n',
    replace: '    network: policy.network,\n',
    caughtBy: ['servers.own-hosts'],
  },
  {
    name: 'server-list-unchecked',
    weakens: 'a list of hosts may name what the policy does not allow',
    file: 'src/sandbox/companion-plans.ts',
    find: '  if (missing !== undefined) {',
    replace: "  if (missing?.host === 'never.example') {",
    caughtBy: ['servers.own-hosts'],
  },
];
