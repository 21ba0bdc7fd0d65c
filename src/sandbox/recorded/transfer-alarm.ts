import type { SandboxContext } from '../context.ts';

/** Raises an alarm when a transfer out of a sandbox was refused because it contained a phantom. A person must look at that. */
export interface TransferAlarm {
  readonly sandbox: string;
  /** sandbox that it belongs to, which counts it as well */
  readonly parent: string | undefined;
  /** who copied */
  readonly actor: string;
  /** where on the host it would have gone */
  readonly path: string;
}

export async function raiseTransferAlarm(
  { journal, guards }: SandboxContext,
  { sandbox, parent, actor, path }: TransferAlarm,
): Promise<void> {
  [sandbox, ...(parent === undefined ? [] : [parent])].forEach((id) => guards.ledger.addAlarm(id));
  await journal.append({
    sandbox,
    actor,
    action: 'alarm.phantom-misplaced',
    subject: path,
    decision: 'deny',
    outcome: 'phantom-misplaced',
    detail: { transfer: 'out' },
  });
}
