import type { CommandTable } from '../command.ts';
import { json } from './shared-options.ts';

/** The rows of the command table about agents and programs that drive sandboxes. */
export const callerCommands: CommandTable = {
  mcp: {
    group: 'Agents and programs',
    summary: 'Serve sandboxes to an agent over the Model Context Protocol',
    usage: '[--root PATH...] [--caller NAME] [--policy FILE] [--pace N]',
    options: [
      { name: 'root', value: 'PATH', repeats: true, about: "folder that contains the caller's projects (default: here)" },
      { name: 'caller', value: 'NAME', about: 'whose sessions these are; each name sees only its own (default: mcp)' },
      {
        name: 'policy',
        value: 'FILE',
        about: 'policy for this caller in place of yours; must be outside its roots',
      },
      { name: 'pace', value: 'N', about: 'allow N times the usual rate of calls for each tool, up to 1000 (default 1)' },
    ],
    about:
      'For clients that start a server themselves, such as Claude Code. It communicates over standard input and ' +
      'output until the client disconnects; sessions stay. A caller creates, uses and removes its own sandboxes ' +
      'within its roots, and can only ask for less than the policy allows: it has no tools to approve, trust, waive ' +
      'or manage credentials.',
    examples: ['casemate mcp --root ~/projects', 'claude mcp add casemate -- casemate mcp --root ~/projects'],
    load: () => import('../commands/mcp.ts'),
  },
  'mcp serve': {
    group: 'Agents and programs',
    summary: 'Serve sandboxes over HTTP, to callers with tokens',
    usage: '[--port N] [--host NAME...] [--listen ADDRESS --tls-cert FILE --tls-key FILE]',
    options: [
      { name: 'port', value: 'N', about: 'port (default 7391)' },
      { name: 'listen', value: 'ADDRESS', about: 'address to listen on (default 127.0.0.1); beyond loopback only with TLS' },
      {
        name: 'host',
        value: 'NAME',
        repeats: true,
        about: 'name under which clients reach it, besides loopback; requests for any other name are refused',
      },
      { name: 'tls-cert', value: 'FILE', about: "certificate with its issuers' certificates, PEM" },
      { name: 'tls-key', value: 'FILE', about: 'its private key, PEM, readable only by you' },
    ],
    about:
      'Streamable HTTP at /mcp, until it is stopped. Each caller has its own token, role and roots, and sees only its ' +
      'own sessions. It listens on this machine only, unless --listen says otherwise, and then with TLS.',
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
      { name: 'root', value: 'PATH', repeats: true, about: "folder that contains the caller's projects" },
      {
        name: 'role',
        value: 'viewer|operator|admin',
        about: 'viewer looks at its own sandboxes, operator creates and uses its own (default), admin has those of all callers',
      },
      {
        name: 'policy',
        value: 'FILE',
        about: 'policy for this caller in place of yours; must be outside its roots',
      },
      { name: 'expires', value: 'TIME', about: 'the token expires after this long, e.g. 30d (default: never)' },
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
    summary: 'Revoke a token; its sandboxes stay',
    usage: 'NAME',
    options: [json],
    examples: ['casemate caller revoke ci'],
    load: () => import('../commands/caller-revoke.ts'),
  },
};
