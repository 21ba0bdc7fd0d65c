import type { CommandTable } from '../command.ts';
import { json, makeOptions, queue } from './shared-options.ts';

/** The rows of the command table about the life of sandboxes. */
export const sandboxCommands: CommandTable = {
  run: {
    group: 'Sandboxes',
    summary: 'Run a command or the agent in a new sandbox, then remove it',
    usage: '[OPTION...] [-- COMMAND ARG...]',
    options: [
      ...makeOptions,
      { name: 'keep', about: 'keep the sandbox afterwards (casemate start, exec, destroy)' },
      { name: 'prompt', short: 'p', value: 'TEXT', about: 'give the agent one task instead of a session' },
      { name: 'timeout', value: 'TIME', about: 'end after this long, e.g. 90s or 2h (exit code 124)' },
      queue,
      { name: 'prove', about: 'attack the sandbox first (about a second) and start nothing in it unless all held' },
    ],
    about:
      "Without a command the policy's agent starts. The sandbox sees the workspace as /workspace, has no route but the gateway, " +
      "and holds phantoms instead of credentials. The exit code is the command's own; 125 is ours, 124 a time-out, 2 bad input.",
    examples: [
      'casemate run -- npm test',
      'casemate run --agent claude',
      'casemate run --agent claude --skip-permissions --prompt "make the tests pass"',
      'casemate run --keep --name work -- bash',
      'casemate run --prove --agent claude',
    ],
    load: () => import('../commands/run.ts'),
  },
  create: {
    group: 'Sandboxes',
    summary: 'Make a sandbox without starting it',
    usage: 'NAME [OPTION...]',
    options: [...makeOptions.filter((option) => option.name !== 'name'), json],
    about:
      'Policy, image and credentials are checked now, the layers of the host when it starts. Nothing runs until casemate start.',
    examples: ['casemate create work', 'casemate create work --agent claude --policy ./casemate.yaml'],
    load: () => import('../commands/create.ts'),
  },
  start: {
    group: 'Sandboxes',
    summary: 'Start a sandbox that was made or stopped',
    usage: 'NAME [--queue TIME]',
    options: [json, queue],
    about: 'Workspace and home are as they were. Credentials are read again from their sources.',
    examples: ['casemate start work'],
    load: () => import('../commands/start.ts'),
  },
  stop: {
    group: 'Sandboxes',
    summary: 'Stop a sandbox; workspace and home stay',
    usage: 'NAME',
    options: [json],
    examples: ['casemate stop work'],
    load: () => import('../commands/stop.ts'),
  },
  restart: {
    group: 'Sandboxes',
    summary: 'Stop, then start',
    usage: 'NAME',
    options: [json],
    examples: ['casemate restart work'],
    load: () => import('../commands/restart.ts'),
  },
  destroy: {
    group: 'Sandboxes',
    summary: 'Remove a sandbox and its home; the workspace is never touched',
    usage: 'NAME [--confirm NAME]',
    options: [
      { name: 'confirm', value: 'NAME', about: 'the name once more, instead of typing it when asked' },
      { name: 'dry-run', about: 'list what would be removed and kept, and stop' },
      json,
    ],
    examples: ['casemate destroy work', 'casemate destroy work --confirm work'],
    load: () => import('../commands/destroy.ts'),
  },
  reap: {
    group: 'Sandboxes',
    summary: 'Remove sandboxes that nobody will come back for',
    usage: '[--dry-run] [--confirm reap]',
    options: [
      { name: 'dry-run', about: 'list them, and stop' },
      { name: 'confirm', value: 'reap', about: 'the word, instead of typing it when asked' },
      json,
    ],
    about:
      'Those of callers whose token is gone or whose time is over, those whose command died, and what the engine holds though nothing is known of it. ' +
      'Yours and those that run for a caller are not among them. Each removal is recorded.',
    examples: ['casemate reap --dry-run', 'casemate reap'],
    load: () => import('../commands/reap.ts'),
  },
  exec: {
    group: 'Sandboxes',
    summary: 'Run a command in a running sandbox',
    usage: 'NAME [OPTION...] -- COMMAND ARG...',
    options: [
      { name: 'cwd', value: 'PATH', about: 'folder inside, from /workspace on (default: that)' },
      { name: 'env', value: 'NAME=VALUE', repeats: true, about: 'variable for this command' },
      { name: 'timeout', value: 'TIME', about: 'end after this long, e.g. 90s or 2h (exit code 124)' },
      { name: 'no-tty', about: 'no terminal even when there is one' },
    ],
    about: 'Arguments arrive as they are written: no shell reads them. Streams pass through byte for byte.',
    examples: ["casemate exec work -- printf %s '$(id)'", 'casemate exec work -- npm test'],
    load: () => import('../commands/exec.ts'),
  },
  shell: {
    group: 'Sandboxes',
    summary: 'Open a shell in a running sandbox, as its user',
    usage: 'NAME',
    options: [],
    examples: ['casemate shell work'],
    load: () => import('../commands/shell.ts'),
  },
  cp: {
    group: 'Sandboxes',
    summary: 'Copy files and folders into a running sandbox, or out of it',
    usage: 'NAME:PATH DESTINATION | SOURCE NAME:[PATH]',
    options: [
      { name: 'overwrite', about: 'replace files that are there' },
      { name: 'timeout', value: 'TIME', about: 'end after this long, e.g. 90s (default: 10m)' },
      json,
    ],
    about:
      'Paths in the sandbox start in /workspace. Each file is hashed at both ends. Links, devices and pipes are refused, and so ' +
      'is writing what programs of the host act on by themselves (.git, .vscode, .envrc and others).',
    examples: ['casemate cp work:/home/agent/report.md .', 'casemate cp ./data work:data'],
    load: () => import('../commands/cp.ts'),
  },
  ls: {
    group: 'Sandboxes',
    summary: 'List sandboxes',
    usage: '',
    options: [json],
    examples: ['casemate ls', 'casemate ls --json'],
    load: () => import('../commands/ls.ts'),
  },
  inspect: {
    group: 'Sandboxes',
    summary: 'Show a sandbox: plan, state, and what was read back from the running one',
    usage: 'NAME',
    options: [json],
    examples: ['casemate inspect work', 'casemate inspect work --json'],
    load: () => import('../commands/inspect.ts'),
  },
  logs: {
    group: 'Sandboxes',
    summary: 'Show what commands without a terminal printed',
    usage: 'NAME',
    options: [
      { name: 'tail', value: 'N', about: 'only the last N lines (default 200)' },
      { name: 'raw', about: 'bytes as they were, for a file; never to a terminal' },
      json,
    ],
    about:
      'Control characters are shown as escapes. Sessions with a terminal are not recorded. Kept are the first 4 MiB of each command, and of a sandbox the newest 64 MiB and 256 commands.',
    examples: ['casemate logs work', 'casemate logs work --tail 20'],
    load: () => import('../commands/logs.ts'),
  },
  stats: {
    group: 'Sandboxes',
    summary: 'Show memory, processor, processes and network use of a running sandbox',
    usage: 'NAME',
    options: [json],
    examples: ['casemate stats work'],
    load: () => import('../commands/stats.ts'),
  },
  usage: {
    group: 'Sandboxes',
    summary: 'Show tokens and spend by sandbox, credential and model',
    usage: '[--since TIME]',
    options: [
      { name: 'since', value: 'TIME', about: 'only what was used since then: 24h, 7d, 2026-05-01T12:00:00Z' },
      { name: 'sandbox', value: 'NAME', about: 'only this sandbox, by name or id' },
      json,
    ],
    about:
      'Read from the journal, where each answer of a model says what it used. Spend is by the list prices in the program, or by ' +
      '"prices" in the policy; it is no bill.',
    examples: ['casemate usage --sandbox work', 'casemate usage --since 24h --json'],
    load: () => import('../commands/usage.ts'),
  },
};
