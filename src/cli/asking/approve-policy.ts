import { CasemateError } from '../../base/errors.ts';
import { parseHost } from '../../base/host.ts';
import type { Client } from '../../daemon/client.ts';
import type { ApproveCall } from '../../daemon/protocol.ts';
import { canonicalPath } from '../../policy/matching/canonical-path.ts';
import { propose, type Proposal } from '../../policy/proposing/propose.ts';
import type { HttpAllowance, Policy } from '../../policy/policy.ts';
import { allowOption } from '../../policy/written/read-allowance.ts';
import type { Approved, RequestView } from '../../sandbox/requests/approvals.ts';
import { writeEdit } from '../../sandbox/policy-files/policy-edit.ts';
import type { CommandContext } from '../command.ts';
import { planFileEdit, editText } from './edit-policy-file.ts';
import { readPolicy } from '../reading/read-policy.ts';

/** Asks for `approve --policy`: the rule for this sandbox, and the same rule in the user's own policy file. */
export interface PolicyApproval {
  readonly view: RequestView;
  readonly call: ApproveCall;
  /** asks the person, once the change is on the screen; throws where they do not agree */
  readonly agree: () => Promise<void>;
}

/** The file is tried out before anything is approved, and written once the answer is on record. */
export async function approveInPolicy(
  context: CommandContext,
  client: Client,
  { view, call, agree }: PolicyApproval,
): Promise<Approved> {
  const { plan } = await client.call('inspect', { name: view.sandbox });
  // As a start in the sandbox's own folder would read it.
  const there = { ...context, cwd: plan.workspace.path };
  const explicitFile = plan.policy.files.find(({ layer }) => layer === 'project')?.path;
  const commandLine = { agent: plan.agent?.name };
  const loaded = await readPolicy(there, { explicitFile, commandLine });
  const proposal = proposalFor(view, call, loaded.policy);
  const comment = `${view.id} of ${view.name}`;
  const edit = await planFileEdit(there, proposal, { kind: 'user', explicitFile, commandLine, loaded, comment });
  context.stderr.write(editText(edit));
  await agree();
  const approved = await client.call('request-approve', { ...call, file: edit.path });
  await writeEdit(edit);
  return approved;
}

function proposalFor(view: RequestView, { functions }: ApproveCall, policy: Policy): Proposal {
  const request = { host: parseHost(view.host), port: view.port, method: view.method, path: view.path };
  const wanted = functions === 'all' ? 'all' : (functions?.map(allowOption) ?? exactly(view));
  const proposal = propose(policy.network, [request], { bound: policy.bound, functions: wanted });
  const [left] = proposal.leftOut;
  if (proposal.rules.length === 0) {
    throw new CasemateError('USAGE', `no rule can be written for ${view.id}: ${left?.why ?? 'your policy allows it already'}`, {
      hint: `Allow it for this sandbox: casemate approve ${view.id} --sandbox`,
    });
  }
  return proposal;
}

/** What was shown, and nothing more general. `undefined`: a connection, which has no function. */
function exactly({ method, path }: RequestView): readonly HttpAllowance[] | undefined {
  const canonical = canonicalPath(path ?? '');
  // What no rule can name is left to the proposal, which says why.
  return method === undefined || canonical === undefined || canonical.includes('*')
    ? undefined
    : [{ methods: [method], path: canonical }];
}
