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
      'The value is asked for without being shown, or read from standard input; never give it as an argument. A running sandbox has it at once.',
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
    about: 'Commands and keychains are not asked: their state is "not tried".',
    examples: ['casemate credentials ls', 'casemate credentials ls --json'],
    load: () => import('../commands/credentials-ls.ts'),
  },
  'credentials test': {
    group: 'Credentials',
    summary: 'Make one real call that changes nothing, and say what came of it',
    usage: 'NAME [OPTION...]',
    options: [
      { name: 'path', value: 'PATH', about: 'what to GET, for providers without a call of their own here' },
      { name: 'host', value: 'HOST', about: 'which of its hosts to ask' },
      json,
    ],
    about: 'Exit code 1 when the call was not accepted. One accepted call says nothing about others.',
    examples: ['casemate credentials test github', 'casemate credentials test gitlab --path /api/v4/user'],
    load: () => import('../commands/credentials-test.ts'),
  },
  'credentials rotate': {
    group: 'Credentials',
    summary: 'Give a credential a new value, in force at once in every running sandbox',
    usage: 'NAME [OPTION...] [-- COMMAND ARG...]',
    options: [
      ...secretOptions,
      { name: 'reread', about: 'no new value: read its source (variable of this shell, file, command) again' },
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
      'It stays so, over restarts too, until it is restored; a new value (set, rotate) ends a revocation for all, not one for a single sandbox.',
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
    options: [{ name: 'confirm', value: 'NAME', about: 'the name once more, instead of typing it when asked' }, json],
    examples: ['casemate credentials rm github', 'casemate credentials rm github --confirm github'],
    load: () => import('../commands/credentials-rm.ts'),
  },
  login: {
    group: 'Credentials',
    summary: "Log in with an agent's subscription, on this host",
    usage: '[AGENT] [OPTION...]',
    options: [
      { name: 'import', about: "take over the login that the agent's own client keeps on this host" },
      { name: 'loopback', about: 'let the browser on this machine bring the code, instead of pasting it' },
      { name: 'status', about: 'show the logins and until when they are valid' },
      {
        name: 'server',
        value: 'ORIGIN',
        about: "another authorization server than the maker's, such as a stand-in on this host",
      },
      { name: 'yes', about: 'with --import: do not ask' },
      json,
    ],
    about:
      'AGENT is claude or codex. The login is a family of tokens of its own: what the agent does on this host outside of casemate is not touched. It is sealed, ' +
      'renewed here once for all sandboxes, and no sandbox holds a token of it. With --import casemate owns the login of the host from then on.',
    examples: ['casemate login claude', 'casemate login codex', 'casemate login claude --import', 'casemate login --status'],
    load: () => import('../commands/login.ts'),
  },
  logout: {
    group: 'Credentials',
    summary: "End an agent's login at its server and forget it",
    usage: 'AGENT [OPTION...]',
    options: [json],
    examples: ['casemate logout claude'],
    load: () => import('../commands/logout.ts'),
  },
};
