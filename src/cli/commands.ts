import type { CommandTable } from './command.ts';
import { agentCommands } from './table/agent-commands.ts';
import { callerCommands } from './table/caller-commands.ts';
import { credentialCommands } from './table/credential-commands.ts';
import { hostCommands } from './table/host-commands.ts';
import { imageCommands } from './table/image-commands.ts';
import { journalCommands } from './table/journal-commands.ts';
import { policyCommands } from './table/policy-commands.ts';
import { proofCommands } from './table/proof-commands.ts';
import { requestCommands } from './table/request-commands.ts';
import { sandboxCommands } from './table/sandbox-commands.ts';
import { snapshotCommands } from './table/snapshot-commands.ts';

/** Every command of the command line as data. `--help`, completion and the reference page read this and load nothing. */
export const commands: CommandTable = {
  ...sandboxCommands,
  ...snapshotCommands,
  ...requestCommands,
  ...policyCommands,
  ...agentCommands,
  ...credentialCommands,
  ...imageCommands,
  ...journalCommands,
  ...proofCommands,
  ...callerCommands,
  ...hostCommands,
};

/** Commands for the program itself: they work, and no help shows them. */
export const innerCommands: CommandTable = {
  'daemon serve': {
    summary: 'The daemon itself',
    usage: '[--resolver ADDRESS:PORT] [--lab-hosts] [--while-open]',
    options: [
      { name: 'resolver', value: 'ADDRESS:PORT', about: 'ask this name server instead of the host (in a lab)' },
      { name: 'lab-hosts', about: 'a user may name hosts below proof.test whatever the organisation allows (in a lab)' },
      { name: 'while-open', about: 'end, with its sandboxes, when standard input closes (in a lab)' },
    ],
    examples: [],
    load: () => import('./commands/daemon-serve.ts'),
  },
  'session end': {
    summary: 'What the short way leaves to do, told on standard input',
    usage: '',
    options: [],
    examples: [],
    load: () => import('./commands/session-end.ts'),
  },
};
