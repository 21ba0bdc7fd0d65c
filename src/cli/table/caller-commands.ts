import type { CommandTable } from '../command.ts';
import { json } from './shared-options.ts';

/** The rows of the command table about agents and programs that drive sandboxes. */
export const callerCommands: CommandTable = {
  mcp: {
    group: 'Agents and programs',
    summary: 'Serve sandboxes to an agent over the Model Context Protocol',
    usage: '[--root PATH...] [--caller NAME] [--policy FILE] [--pace N]',
    options: [
      { name: 'root', value: 'PATH', repeats: true, about: 'folder below which projects may lie (default: here)' },
      { name: 'caller', value: 'NAME', about: 'whose sessions these are; each name sees its own alone (default: mcp)' },
      {
        name: 'policy',
        value: 'FILE',
        about: 'policy that holds for it in the place of your own; it must lie in none of its roots',
      },
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
    summary: 'Serve sandboxes over HTTP, to callers with tokens',
    usage: '[--port N] [--host NAME...] [--listen ADDRESS --tls-cert FILE --tls-key FILE]',
    options: [
      { name: 'port', value: 'N', about: 'port (default 7391)' },
      { name: 'listen', value: 'ADDRESS', about: 'address of this machine (default 127.0.0.1); beyond loopback with TLS alone' },
      {
        name: 'host',
        value: 'NAME',
        repeats: true,
        about: 'name under which it is reached beside loopback; requests that say another are refused',
      },
      { name: 'tls-cert', value: 'FILE', about: 'certificate and those of its issuers, PEM' },
      { name: 'tls-key', value: 'FILE', about: 'its key, PEM, readable by you alone' },
    ],
    about:
      'Streamable HTTP at /mcp, until it is stopped. Each caller has a token, a role and roots of its own and sees its own sessions alone. Nothing listens beyond this machine unless --listen says so, and then with TLS.',
    examples: [
      'casemate mcp serve',
      'casemate mcp serve --port 8000',
      'casemate mcp serve --listen 192.0.2.7 --host casemate.example.com --tls-cert cert.pem --tls-key key.pem',
    ],
    load: () => import('../commands/mcp-serve.ts'),
  },
  'caller add': {
    group: 'Agents and programs',
    summary: 'Give an agent or program a token for casemate mcp serve',
    usage: 'NAME --root PATH... [--role ROLE] [--policy FILE] [--expires TIME]',
    options: [
      { name: 'root', value: 'PATH', repeats: true, about: 'folder below which its projects may lie' },
      {
        name: 'role',
        value: 'viewer|operator|admin',
        about: 'viewer looks, operator makes and uses its own (default), admin has those of all callers',
      },
      {
        name: 'policy',
        value: 'FILE',
        about: 'policy that holds for it in the place of your own; it must lie in none of its roots',
      },
      { name: 'expires', value: 'TIME', about: 'the token is worth nothing after this long, e.g. 30d (default: never)' },
      json,
    ],
    examples: [
      'casemate caller add ci --root ~/projects --expires 30d',
      'casemate caller add nightly --root ~/projects --policy ~/.config/casemate/nightly.yaml',
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
