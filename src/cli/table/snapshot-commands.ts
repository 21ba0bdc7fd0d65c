import type { CommandTable } from '../command.ts';
import { json } from './shared-options.ts';

/** The rows of the command table about what is kept of a sandbox's home folder. */
export const snapshotCommands: CommandTable = {
  'snapshot take': {
    group: 'Sandboxes',
    summary: "Keep a sandbox's home folder as it is",
    usage: 'NAME [--label TEXT]',
    options: [{ name: 'label', value: 'TEXT', about: 'a line to know it by' }, json],
    about:
      'Not the workspace: git is for that. A sandbox that runs without a command is stopped for it. At most four are kept of each; they go with the sandbox, and can be put back into it alone.',
    examples: ['casemate snapshot take work', 'casemate snapshot take work --label "before the upgrade"'],
    load: () => import('../commands/snapshot-take.ts'),
  },
  'snapshot ls': {
    group: 'Sandboxes',
    summary: "List what is kept of a sandbox's home folder",
    usage: 'NAME',
    options: [json],
    examples: ['casemate snapshot ls work'],
    load: () => import('../commands/snapshot-ls.ts'),
  },
  'snapshot restore': {
    group: 'Sandboxes',
    summary: "Put a sandbox's home folder back as it was kept",
    usage: 'NAME ID [--confirm NAME]',
    options: [{ name: 'confirm', value: 'NAME', about: 'its name, instead of typing it when asked' }, json],
    about:
      'What is in its home folder now is lost. The workspace, budgets, approvals and the journal stay as they are. A sandbox that runs without a command is stopped for it.',
    examples: ['casemate snapshot restore work sn-0123456789abcdef'],
    load: () => import('../commands/snapshot-restore.ts'),
  },
  'snapshot rm': {
    group: 'Sandboxes',
    summary: 'Remove one snapshot of a sandbox',
    usage: 'NAME ID',
    options: [json],
    examples: ['casemate snapshot rm work sn-0123456789abcdef'],
    load: () => import('../commands/snapshot-rm.ts'),
  },
};
