import type { JournalRecord, SigningJournal } from '../../journal/record.ts';

/**
 * What the journal already tells of a step that was cut off between its record and the state file, so that it is not recorded
 * twice, and nothing is recorded as ended that never began.
 */
type LookBack = Pick<SigningJournal, 'newestFirst'>;

/** The last record of a sandbox's life, e.g. `sandbox.stop`; `undefined`: there is none. */
export async function lastOfLife(journal: LookBack, sandbox: string): Promise<string | undefined> {
  for await (const record of journal.newestFirst()) {
    if (record.sandbox === sandbox && record.action.startsWith('sandbox.')) {
      return record.action;
    }
  }
  return undefined;
}

export interface CommandsOnRecord {
  readonly begun: ReadonlySet<string>;
  readonly ended: ReadonlySet<string>;
}

/** Of these commands: whose beginning and whose end the journal has. Looks back no further than the oldest of them began. */
export async function commandsOnRecord(journal: LookBack, executions: readonly string[]): Promise<CommandsOnRecord> {
  const wanted = new Set(executions);
  const begun = new Set<string>();
  const ended = new Set<string>();
  if (wanted.size > 0) {
    for await (const record of journal.newestFirst()) {
      const execution = executionOf(record);
      if (execution !== undefined && wanted.has(execution)) {
        (record.action === 'exec.start' ? begun : ended).add(execution);
      }
      if (begun.size === wanted.size) {
        break;
      }
    }
  }
  return { begun, ended };
}

function executionOf({ action, detail }: JournalRecord): string | undefined {
  const execution = action === 'exec.start' || action === 'exec.end' ? detail?.['execution'] : undefined;
  return typeof execution === 'string' ? execution : undefined;
}
