import type { CommandTable, OptionRow } from '../command.ts';
import { json } from './shared-options.ts';

/** The rows of the command table about credentials. */

/** Where the value of a credential comes from; `secret-input.ts` reads them. */
const secretOptions: readonly OptionRow[] = [
  { name: 'from-env', value: 'VARIABLE', about: 'take the value of this variable' },
  { name: 'from-file', value: 'FILE', about: 'take the content of this file, yours and mode 0600' },
  { name: 'from-command', about: 'take what the command after -- prints' },
];

export const credentialCommands: CommandTable = {
  'credentials set': {
    group: 'Credentials',
    summary: 'Seal a credential on this host, or replace one',
    usage: 'NAME [OPTION...] [-- COMMAND ARG...]',
    options: [
      { name: 'provider', value: 'PROVIDER', about: 'what it is for (default: that of its name, else header)' },
      { name: 'host', value: 'HOST', repeats: true, about: 'only host it may go to, e.g. api.example.com or *.example.com' },
      ...secretOptions,
      json,
    ],
    about:
      'You are asked for the value, which is not shown, or it is read from standard input; never give it as an ' +
      'argument. Running sandboxes use it at once.',
    examples: [
      'casemate credentials set github',
      'casemate credentials set npm --from-env NPM_TOKEN',
      'casemate credentials set github --from-command -- gh auth token',
    ],
    load: () => import('../commands/credentials-set.ts'),
  },
  'credentials ls': {
    group: 'Credentials',
    summary: 'List credentials: source, hosts, age, last use; never a value',
    usage: '',
    options: [json],
    about: 'Commands and keychains are not queried here: their state is "not tried".',
    examples: ['casemate credentials ls', 'casemate credentials ls --json'],
    load: () => import('../commands/credentials-ls.ts'),
  },
  'credentials test': {
    group: 'Credentials',
    summary: 'Test a credential with one real, read-only request',
    usage: 'NAME [OPTION...]',
    options: [
      { name: 'path', value: 'PATH', about: 'path to GET, for providers without a built-in test request' },
      { name: 'host', value: 'HOST', about: 'which of its hosts to use' },
      json,
    ],
    about: 'Exit code 1 if the request was not accepted. One accepted request says nothing about others.',
    examples: ['casemate credentials test github', 'casemate credentials test gitlab --path /api/v4/user'],
    load: () => import('../commands/credentials-test.ts'),
  },
  'credentials rotate': {
    group: 'Credentials',
    summary: "Replace a credential's value, at once in every running sandbox",
    usage: 'NAME [OPTION...] [-- COMMAND ARG...]',
    options: [
      ...secretOptions,
      { name: 'reread', about: 'no new value: read it again from its source (variable of this shell, file, command)' },
      json,
    ],
    examples: ['casemate credentials rotate github', 'casemate credentials rotate gitlab --reread'],
    load: () => import('../commands/credentials-rotate.ts'),
  },
  'credentials revoke': {
    group: 'Credentials',
    summary: 'Cut a credential off at once, open streams included',
    usage: 'NAME [--sandbox SANDBOX]',
    options: [{ name: 'sandbox', value: 'SANDBOX', about: 'only in this one' }, json],
    about:
      'The credential stays revoked, also across restarts, until it is restored. A new value (set, rotate) ends a ' +
      'revocation for all sandboxes, but not one for a single sandbox.',
    examples: ['casemate credentials revoke github', 'casemate credentials revoke anthropic --sandbox work'],
    load: () => import('../commands/credentials-revoke.ts'),
  },
  'credentials restore': {
    group: 'Credentials',
    summary: 'Allow a revoked credential again',
    usage: 'NAME [--sandbox SANDBOX]',
    options: [{ name: 'sandbox', value: 'SANDBOX', about: 'where it was revoked only there' }, json],
    examples: ['casemate credentials restore github'],
    load: () => import('../commands/credentials-restore.ts'),
  },
  'credentials rm': {
    group: 'Credentials',
    summary: 'Remove a sealed credential; sandboxes that use it are cut off',
    usage: 'NAME [--confirm NAME]',
    options: [{ name: 'confirm', value: 'NAME', about: 'repeat the name here instead of typing it when asked' }, json],
    examples: ['casemate credentials rm github', 'casemate credentials rm github --confirm github'],
    load: () => import('../commands/credentials-rm.ts'),
  },
  login: {
    group: 'Credentials',
    summary: "Log in with an agent's subscription",
    usage: '[AGENT] [OPTION...]',
    options: [
      { name: 'import', about: "take over the login that the agent's own client keeps on this host" },
      { name: 'loopback', about: 'let the browser on this machine deliver the code, instead of pasting it' },
      { name: 'status', about: 'show the logins and how long they are valid' },
      {
        name: 'server',
        value: 'ORIGIN',
        about: "an authorization server other than the vendor's, such as a stand-in on this host",
      },
      { name: 'yes', about: 'with --import: do not ask' },
      json,
    ],
    about:
      "AGENT is claude or codex. This creates a separate login: the agent's login on this host outside of casemate is " +
      'not touched. Its tokens are sealed and renewed on this host, once for all sandboxes, and no sandbox holds any ' +
      "of them. With --import, casemate takes over the host's login from then on.",
    examples: ['casemate login claude', 'casemate login codex', 'casemate login claude --import', 'casemate login --status'],
    load: () => import('../commands/login.ts'),
  },
  logout: {
    group: 'Credentials',
    summary: "End an agent's login at its server, and delete it here",
    usage: 'AGENT [OPTION...]',
    options: [json],
    examples: ['casemate logout claude'],
    load: () => import('../commands/logout.ts'),
  },
};
