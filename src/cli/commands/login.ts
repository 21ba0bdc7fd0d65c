import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import { loginAgents, oauthClientOf, type OAuthClient } from '../../credentials/login/oauth-clients.ts';
import type { Client } from '../../daemon/client.ts';
import type { LoginShown } from '../../daemon/protocol.ts';
import type { CommandContext, RunCommand } from '../command.ts';
import { connectDaemon } from '../session/connect.ts';
import { canAsk, confirm } from '../asking/confirm.ts';
import { describeLogin } from '../printing/describe-login.ts';
import { readHostLogin } from '../reading/host-login.ts';
import { listenForCode } from '../../gateway/upstream/loopback-code.ts';
import { printJson } from '../printing/output.ts';
import { optionalPositionals, parseOptions, switchOption, textOption, type ParsedOptions } from '../reading/parse-options.ts';
import { typedOrPiped } from '../asking/secret-input.ts';

/** `casemate login`: keeps a login of the agent's subscription on the host, a new one or the one that the host already has. */
export const run: RunCommand = async (args, context, row) => {
  const parsed = parseOptions(row, args);
  const [agent] = optionalPositionals(parsed, ['AGENT']);
  const isList = switchOption(parsed, 'status');
  if (agent === undefined && !isList) {
    throw new CasemateError('USAGE', 'AGENT is missing', { hint: `For example: casemate login ${loginAgents[0] ?? ''}` });
  }
  const client = await connectDaemon(context);
  try {
    const answers = isList ? await client.call('login-list', {}) : [await logIn(client, context, { parsed, agent: agent ?? '' })];
    report(
      context,
      answers.filter((login) => agent === undefined || login.agent === agent),
      { isJson: switchOption(parsed, 'json'), isList },
    );
    return 0;
  } finally {
    client.close();
  }
};

interface Asked {
  readonly parsed: ParsedOptions;
  readonly agent: string;
}

async function logIn(client: Client, context: CommandContext, { parsed, agent }: Asked): Promise<LoginShown> {
  const known = oauthClientOf(agent);
  if (known === undefined) {
    throw new CasemateError('USAGE', `there is no login of "${visible(agent)}"`, { hint: `Logins: ${loginAgents.join(', ')}.` });
  }
  const server = textOption(parsed, 'server');
  return switchOption(parsed, 'import')
    ? await takeOver(client, context, { known, server, isSure: switchOption(parsed, 'yes') })
    : await ownLogin(client, context, { known, server, parsed });
}

interface Takeover {
  readonly known: OAuthClient;
  readonly server: string | undefined;
  readonly isSure: boolean;
}

async function takeOver(client: Client, context: CommandContext, { known, server, isSure }: Takeover): Promise<LoginShown> {
  const { text, place } = await readHostLogin(known.agent, context);
  context.stderr.write(
    `casemate: takes over the login of ${known.title} from ${visible(place)}.\n` +
      `casemate: from then on casemate renews it. Each renewal ends the older tokens, so ${known.title} on this host is logged out soon\n` +
      `casemate: and must log in anew. To keep both, leave out --import: that makes a login of its own.\n`,
  );
  if (!isSure && !(canAsk(context) && (await confirm(context, 'Take it over?')))) {
    throw new CasemateError('CONFIRMATION_MISSING', 'the login was not taken over; nothing was changed', {
      hint: 'Where nobody can be asked, say it with --yes.',
    });
  }
  return await client.call('login-import', { agent: known.agent, text, server });
}

interface Own {
  readonly known: OAuthClient;
  readonly server: string | undefined;
  readonly parsed: ParsedOptions;
}

/** The page shows a code to paste where the server has such a page; otherwise the browser brings it to a loopback port. */
async function ownLogin(client: Client, context: CommandContext, { known, server, parsed }: Own): Promise<LoginShown> {
  const { agent } = known;
  if (known.manualRedirect !== undefined && !switchOption(parsed, 'loopback')) {
    const { id, url } = await client.call('login-begin', { agent, server });
    context.stderr.write(`Open this page, log in, and copy the code that it shows:\n\n  ${visible(url)}\n\n`);
    const hint = `Paste the code at a terminal, or let a browser on this machine bring it: casemate login ${agent} --loopback`;
    const code = await typedOrPiped(context, { prompt: 'Code (not shown): ', hint });
    return await client.call('login-finish', { id, code });
  }
  const loopback = await listenForCode(known.loopback);
  try {
    const { id, url } = await client.call('login-begin', { agent, server, redirectUri: loopback.redirectUri });
    context.stderr.write(`Open this page in a browser on this machine and log in:\n\n  ${visible(url)}\n\n`);
    return await client.call('login-finish', { id, code: await loopback.code });
  } finally {
    loopback.close();
  }
}

function report(
  { stdout }: CommandContext,
  logins: readonly LoginShown[],
  { isJson, isList }: { readonly isJson: boolean; readonly isList: boolean },
): void {
  if (isJson) {
    printJson(stdout, isList ? logins : logins[0]);
    return;
  }
  if (logins.length === 0) {
    stdout.write('no logins\n');
  }
  for (const login of logins) {
    stdout.write(`${describeLogin(login)}\n`);
  }
}
