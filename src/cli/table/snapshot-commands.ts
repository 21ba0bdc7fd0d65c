import type { CommandTable } from '../command.ts';
import { json } from './shared-options.ts';

/** The rows of the command table about what is kept of a sandbox's home folder. */
export const snapshotCommands: CommandTable = {
  'snapshot take': {
    group: 'Sandboxes',
    summary: "Save a sandbox's home folder",
    usage: 'NAME [--label TEXT]',
    options: [{ name: 'label', value: 'TEXT', about: 'a text to recognise it by' }, json],
    about:
      'A snapshot does not contain the workspace: use git for that. A sandbox that runs no command is stopped first. ' +
      'Each sandbox can have four snapshots; they are removed with it, and can be restored only into it.',
    examples: ['casemate snapshot take work', 'casemate snapshot take work --label "before the upgrade"'],
    load: () => import('../commands/snapshot-take.ts'),
  },
  'snapshot ls': {
    group: 'Sandboxes',
    summary: "List the snapshots of a sandbox's home folder",
    usage: 'NAME',
    options: [json],
    examples: ['casemate snapshot ls work'],
    load: () => import('../commands/snapshot-ls.ts'),
  },
  'snapshot restore': {
    group: 'Sandboxes',
    summary: "Restore a sandbox's home folder from a snapshot",
    usage: 'NAME ID [--confirm NAME]',
    options: [{ name: 'confirm', value: 'NAME', about: 'repeat the name here instead of typing it when asked' }, json],
    about:
      'The present contents of the home folder are lost. The workspace, budgets, approvals and the journal stay as ' +
      'they are. A sandbox that runs no command is stopped first.',
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
