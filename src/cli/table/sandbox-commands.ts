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
      { name: 'prove', about: 'attack the sandbox first (about a second), and start nothing in it unless every probe held' },
    ],
    about:
      "Without a command the policy's agent starts. The sandbox sees the workspace as /workspace, has no route but " +
      'the gateway, and holds phantoms instead of credentials. The exit code is that of the command; 125 means that ' +
      'casemate or the host failed, 124 a time-out, 2 bad input.',
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
    summary: 'Create a sandbox without starting it',
    usage: 'NAME [OPTION...]',
    options: [...makeOptions.filter((option) => option.name !== 'name'), json],
    about:
      "Policy, image and credentials are checked now, the host's protection layers when it starts. Nothing runs until " +
      'casemate start.',
    examples: ['casemate create work', 'casemate create work --agent claude --policy ./casemate.yaml'],
    load: () => import('../commands/create.ts'),
  },
  start: {
    group: 'Sandboxes',
    summary: 'Start a sandbox that was created or stopped',
    usage: 'NAME [--queue TIME]',
    options: [json, queue],
    about: 'Workspace and home folder are as they were. Credentials are read again from their sources.',
    examples: ['casemate start work'],
    load: () => import('../commands/start.ts'),
  },
  stop: {
    group: 'Sandboxes',
    summary: 'Stop a sandbox; its workspace and home folder stay',
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
    summary: 'Remove a sandbox and its home folder; the workspace is never touched',
    usage: 'NAME [--confirm NAME]',
    options: [
      { name: 'confirm', value: 'NAME', about: 'repeat the name here instead of typing it when asked' },
      { name: 'dry-run', about: 'list what would be removed and kept, and stop' },
      json,
    ],
    examples: ['casemate destroy work', 'casemate destroy work --confirm work'],
    load: () => import('../commands/destroy.ts'),
  },
  reap: {
    group: 'Sandboxes',
    summary: 'Remove sandboxes that nobody will use again',
    usage: '[--dry-run] [--confirm reap]',
    options: [
      { name: 'dry-run', about: 'list them, and stop' },
      { name: 'confirm', value: 'reap', about: 'give the word here instead of typing it when asked' },
      json,
    ],
    about:
      'Removes sandboxes of callers whose token is gone or has expired, sandboxes whose command died, and containers ' +
      'that the engine still holds but casemate does not know. Your own sandboxes, and those still running for a ' +
      'caller, are not touched. Each removal is recorded.',
    examples: ['casemate reap --dry-run', 'casemate reap'],
    load: () => import('../commands/reap.ts'),
  },
  exec: {
    group: 'Sandboxes',
    summary: 'Run a command in a running sandbox',
    usage: 'NAME [OPTION...] -- COMMAND ARG...',
    options: [
      { name: 'cwd', value: 'PATH', about: 'folder inside, relative to /workspace (default: /workspace)' },
      { name: 'env', value: 'NAME=VALUE', repeats: true, about: 'variable for this command' },
      { name: 'timeout', value: 'TIME', about: 'end after this long, e.g. 90s or 2h (exit code 124)' },
      { name: 'no-tty', about: 'do not allocate a terminal, even if there is one here' },
    ],
    about: 'Arguments arrive exactly as written: no shell interprets them. Streams pass through byte for byte.',
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
      { name: 'overwrite', about: 'replace existing files' },
      { name: 'timeout', value: 'TIME', about: 'end after this long, e.g. 90s (default: 10m)' },
      json,
    ],
    about:
      'Paths in the sandbox are relative to /workspace. Each file is hashed at both ends. Links, devices and pipes ' +
      'are refused, and so are files that programs on the host act on by themselves (.git, .vscode, .envrc and ' +
      'others).',
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
    summary: 'Show the output of commands that ran without a terminal',
    usage: 'NAME',
    options: [
      { name: 'tail', value: 'N', about: 'only the last N lines (default 200)' },
      { name: 'raw', about: 'the unchanged bytes, for a file or pipe; refused on a terminal' },
      json,
    ],
    about:
      'Control characters are shown as escapes. Sessions with a terminal are not recorded. The first 4 MiB of each ' +
      'command are kept, and the newest 64 MiB and 256 commands of each sandbox.',
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
      'The figures come from the journal, where each model response is recorded with what it used. Spend is computed ' +
      'from built-in list prices, or from "prices" in the policy; it is not a bill.',
    examples: ['casemate usage --sandbox work', 'casemate usage --since 24h --json'],
    load: () => import('../commands/usage.ts'),
  },
};
