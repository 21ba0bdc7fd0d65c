import { CasemateError } from '../base/errors.ts';
import type { Client } from '../daemon/client.ts';
import type { ApproveCall } from '../daemon/protocol.ts';
import type { Approved, RequestView } from '../sandbox/approvals.ts';
import type { CommandContext } from './command.ts';

/** `approve --policy`: the same, and the rule in the user's own policy file. */
export async function approveInPolicy(
  _context: CommandContext,
  _client: Client,
  { view }: { readonly view: RequestView; readonly call: ApproveCall },
): Promise<Approved> {
  throw new CasemateError('USAGE', `${view.id} cannot be written into a policy yet`);
}
