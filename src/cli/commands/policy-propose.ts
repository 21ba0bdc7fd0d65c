import { resolve } from 'node:path';

import { CasemateError } from '../../base/errors.ts';
import { parseHost } from '../../base/host.ts';
import { visible } from '../../base/text.ts';
import { listSegments } from '../../journal/segments.ts';
import { journalPlace } from '../../journal/journal-place.ts';
import { rulesAsYaml } from '../../policy/proposing/edit-policy.ts';
import type { DeniedRequest } from '../../policy/proposing/grant-rule.ts';
import { propose } from '../../policy/proposing/propose.ts';
import { requestOfId, requestsFromJournal } from '../../sandbox/requests/denied-requests.ts';
import type { CommandContext, CommandRow } from '../command.ts';
import { knownSandboxes } from '../reading/journal-filters.ts';
import { optionalPositionals, parseOptions, textOption, type ParsedOptions } from '../reading/parse-options.ts';
import { readDestination } from '../reading/read-destination.ts';
import { readPolicy } from '../reading/read-policy.ts';
import { requestId } from '../reading/request-id.ts';
import { proposalTarget, showProposal } from '../asking/show-proposal.ts';
import { askDaemon } from '../session/ask-daemon.ts';

/** `casemate policy propose`: the smallest rules that would allow what was denied, as YAML and in words; written on request. */
export async function run(args: readonly string[], context: CommandContext, row: CommandRow): Promise<number> {
  const parsed = parseOptions(row, args);
  proposalTarget(parsed);
  const asked = await readAsked(parsed, context);
  const file = textOption(parsed, 'policy');
  const explicitFile = file === undefined ? undefined : resolve(context.cwd, file);
  const commandLine = { agent: textOption(parsed, 'agent') };
  const loaded = await readPolicy(context, { explicitFile, commandLine });
  const { network, bound } = loaded.policy;
  const proposal = propose(network, asked.requests, { bound });
  const isCovered = asked.requests.length > 0 && proposal.rules.length === 0 && proposal.leftOut.length === 0;
  return await showProposal(parsed, context, {
    proposal,
    yaml: proposal.rules.length === 0 ? '' : rulesAsYaml(proposal.rules),
    notes: isCovered ? [...asked.notes, 'the policy here allows it already'] : asked.notes,
    file: { explicitFile, commandLine, loaded },
    comment: asked.comment,
  });
}

interface Asked {
  readonly requests: readonly DeniedRequest[];
  readonly notes: readonly string[];
  readonly comment: string;
}

async function readAsked(parsed: ParsedOptions, context: CommandContext): Promise<Asked> {
  const [destination] = optionalPositionals(parsed, ['HOST[:PORT]']);
  const sandbox = textOption(parsed, 'from-journal');
  const request = textOption(parsed, 'request');
  const given = [destination, sandbox, request].filter((one) => one !== undefined);
  if (given.length !== 1) {
    throw new CasemateError('USAGE', 'say what to propose a rule for', {
      hint: 'Give one of HOST[:PORT], --from-journal SANDBOX and --request ID.',
    });
  }
  if (sandbox !== undefined) {
    return await fromJournal(context, sandbox);
  }
  return request === undefined ? fromWords(parsed, destination ?? '') : await fromRequest(context, requestId(request));
}

async function fromJournal(context: CommandContext, sandbox: string): Promise<Asked> {
  await knownSandboxes(await listSegments(journalPlace(context.paths).folder), sandbox);
  const { requests, onlyCounted, silent } = await requestsFromJournal(journalPlace(context.paths).folder, sandbox, 'denied');
  const counted = onlyCounted === 0 ? [] : [`${onlyCounted} denied requests came too fast: their paths are not on record`];
  const quiet = silent.map(
    ({ host, port }) =>
      `${host}:${port} was connected to and nothing asked; for all of that host: casemate policy propose ${host}:${port}`,
  );
  const none = requests.length === 0 ? [`the journal has no denial of ${visible(sandbox)} that a rule could change`] : [];
  return { requests, notes: [...none, ...counted, ...quiet], comment: `what ${visible(sandbox)} was denied` };
}

async function fromRequest(context: CommandContext, id: string): Promise<Asked> {
  const view = (await askDaemon(context, 'requests', {})).find((one) => one.id === id);
  if (view === undefined) {
    // Of sandboxes that have ended the journal knows what they were denied.
    const past = await requestOfId(journalPlace(context.paths).folder, id);
    if (past === undefined) {
      throw new CasemateError('REQUEST_GONE', `there is no request ${id}, nor a denial of this id in the journal`, {
        hint: 'All that a sandbox was denied: casemate policy propose --from-journal SANDBOX',
      });
    }
    return { requests: [past], notes: [], comment: id };
  }
  const { method, path, port } = view;
  return { requests: [{ host: parseHost(view.host), port, method, path }], notes: [], comment: `${id} of ${view.name}` };
}

function fromWords(parsed: ParsedOptions, destination: string): Asked {
  const { host, port } = readDestination(destination);
  const method = textOption(parsed, 'method');
  const path = textOption(parsed, 'path');
  if ((method === undefined) !== (path === undefined)) {
    throw new CasemateError('USAGE', '--method and --path belong together', {
      hint: 'Write for example: --method GET --path /v1/models',
    });
  }
  return { requests: [{ host, port, method, path }], notes: [], comment: 'asked for by hand' };
}
