import { CasemateError } from '../../base/errors.ts';
import type { Client } from '../../daemon/client.ts';
import type { ApproveCall } from '../../daemon/protocol.ts';
import { requestGone } from '../../gateway/asks/request-gone.ts';
import type { Approved, RequestView } from '../../sandbox/requests/approvals.ts';
import type { PolicyApproval } from '../asking/approve-policy.ts';
import type { CommandContext, CommandRow } from '../command.ts';
import { canAsk, confirm } from '../asking/confirm.ts';
import { connectDaemon } from '../session/connect.ts';
import { printJson } from '../printing/output.ts';
import { listOption, parseOptions, requiredPositionals, switchOption, type ParsedOptions } from '../reading/parse-options.ts';
import { requestId } from '../reading/request-id.ts';
import { requestText } from '../printing/request-text.ts';

/**
 * `casemate approve`: a person at a terminal reads the request and says yes. The id names exactly what is shown, under the
 * current rules; a request that changed has another id.
 */
export async function run(args: readonly string[], context: CommandContext, row: CommandRow): Promise<number> {
  const parsed = parseOptions(row, args);
  const id = requestId(requiredPositionals(parsed, ['ID'])[0]);
  const asked = readScope(parsed);
  const client = await connectDaemon(context);
  const view = await findRequest(client, id);
  const scope = asked ?? (view.held > 0 ? 'once' : 'sandbox');
  const call: ApproveCall = { id, scope, functions: functionsOf(parsed) };
  const agree = async (): Promise<void> => (switchOption(parsed, 'yes') ? undefined : await askPerson(context, { view, call }));
  const approved = await carryOut(context, client, { view, call, agree });
  client.close();
  if (switchOption(parsed, 'json')) {
    printJson(context.stdout, { id, scope, allows: approved.allows });
  } else {
    context.stdout.write(`approved ${scopeWords[scope]}: ${approved.allows}\n`);
  }
  return 0;
}

async function carryOut(context: CommandContext, client: Client, approval: PolicyApproval): Promise<Approved> {
  if (approval.call.scope === 'policy') {
    const { approveInPolicy } = await import('../asking/approve-policy.ts');
    return await approveInPolicy(context, client, approval);
  }
  await approval.agree();
  return await client.call('request-approve', approval.call);
}

const scopeWords = {
  once: 'once',
  sandbox: 'for the life of the sandbox',
  policy: 'in your policy and for this sandbox',
} as const;

function readScope(parsed: ParsedOptions): ApproveCall['scope'] | undefined {
  const given = (['once', 'sandbox', 'policy'] as const).filter((scope) => switchOption(parsed, scope));
  if (given.length > 1) {
    throw new CasemateError('USAGE', `--${given.join(' and --')} exclude each other`, { hint: 'Give one of them.' });
  }
  return given[0];
}

function functionsOf(parsed: ParsedOptions): ApproveCall['functions'] {
  const listed = listOption(parsed, 'allow');
  if (switchOption(parsed, 'whole-host')) {
    if (listed.length > 0) {
      throw new CasemateError('USAGE', '--whole-host and --allow exclude each other', { hint: 'Give one of them.' });
    }
    return 'all';
  }
  return listed.length === 0 ? undefined : listed;
}

async function findRequest(client: Client, id: string): Promise<RequestView> {
  const view = (await client.call('requests', {})).find((one) => one.id === id);
  if (view === undefined) {
    throw requestGone(id);
  }
  return view;
}

async function askPerson(
  context: CommandContext,
  { view, call }: { readonly view: RequestView; readonly call: ApproveCall },
): Promise<void> {
  if (!canAsk(context)) {
    throw new CasemateError('CONFIRMATION_MISSING', `${view.id} is not approved: there is no terminal to ask at`, {
      hint: 'Run it at a terminal, or add --yes in a script of yours.',
    });
  }
  context.stderr.write(requestText(view, Date.now()));
  const instead =
    call.functions === undefined ? '' : ` ${call.functions === 'all' ? 'everything there' : call.functions.join('; ')}`;
  if (!(await confirm(context, `Allow${instead} ${scopeWords[call.scope]}?`))) {
    throw new CasemateError('CONFIRMATION_MISSING', `${view.id} is not approved`, {
      hint: `To refuse it at once: casemate deny ${view.id}`,
    });
  }
}
