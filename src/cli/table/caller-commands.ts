import type { CommandTable } from '../command.ts';
import { json } from './shared-options.ts';

/** The rows of the command table about agents and programs that drive sandboxes. */
export const callerCommands: CommandTable = {
  mcp: {
    group: 'Agents and programs',
    summary: 'Serve sandboxes to an agent over the Model Context Protocol',
    usage: '[--root PATH...] [--caller NAME] [--pace N]',
    options: [
      { name: 'root', value: 'PATH', repeats: true, about: 'folder below which projects may lie (default: here)' },
      { name: 'caller', value: 'NAME', about: 'whose sessions these are; each name sees its own alone (default: mcp)' },
      { name: 'pace', value: 'N', about: 'let it call each tool N times as much and as often as usual, up to 1000 (default 1)' },
    ],
    about:
      'For clients that start a server themselves, such as Claude Code. It speaks over standard input and output until the client goes; sessions stay. ' +
      'A caller makes, uses and removes its own sandboxes within its roots, and can only ask for less than the policy gives: approving, trusting, credentials, waivers are not among its tools.',
    examples: ['casemate mcp --root ~/projects', 'claude mcp add casemate -- casemate mcp --root ~/projects'],
    load: () => import('../commands/mcp.ts'),
  },
  'mcp serve': {
    group: 'Agents and programs',
    summary: 'Serve sandboxes over HTTP on loopback, to callers with tokens',
    usage: '[--port N]',
    options: [{ name: 'port', value: 'N', about: 'port of 127.0.0.1 (default 7391)' }],
    about:
      'Streamable HTTP at /mcp, until it is stopped. Each caller has a token, a role and roots of its own and sees its own sessions alone. Nothing listens beyond this machine.',
    examples: ['casemate mcp serve', 'casemate mcp serve --port 8000'],
    load: () => import('../commands/mcp-serve.ts'),
  },
  'caller add': {
    group: 'Agents and programs',
    summary: 'Give an agent or program a token for casemate mcp serve',
    usage: 'NAME --root PATH... [--role ROLE] [--expires TIME]',
    options: [
      { name: 'root', value: 'PATH', repeats: true, about: 'folder below which its projects may lie' },
      {
        name: 'role',
        value: 'viewer|operator|admin',
        about: 'viewer looks, operator makes and uses its own (default), admin has those of all callers',
      },
      { name: 'expires', value: 'TIME', about: 'the token is worth nothing after this long, e.g. 30d (default: never)' },
      json,
    ],
    examples: [
      'casemate caller add ci --root ~/projects --expires 30d',
      'casemate caller add board --role viewer --root ~/projects',
    ],
    load: () => import('../commands/caller-add.ts'),
  },
  'caller ls': {
    group: 'Agents and programs',
    summary: 'List who has a token',
    usage: '',
    options: [json],
    examples: ['casemate caller ls'],
    load: () => import('../commands/caller-ls.ts'),
  },
  'caller revoke': {
    group: 'Agents and programs',
    summary: 'Take a token back; the sandboxes stay',
    usage: 'NAME',
    options: [json],
    examples: ['casemate caller revoke ci'],
    load: () => import('../commands/caller-revoke.ts'),
  },
};
