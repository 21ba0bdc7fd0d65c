import { homedir } from 'node:os';
import { resolve } from 'node:path';

import { CasemateError } from '../../base/errors.ts';
import { policyOfCaller } from '../../daemon/caller-policy.ts';
import { rootFolder } from '../../daemon/root-folder.ts';
import { createRate } from '../../mcp/rate.ts';
import { serveStdio } from '../../mcp/serve-stdio.ts';
import { tools } from '../../mcp/tools.ts';
import { programFolders } from '../../system/environment.ts';
import type { CommandContext, RunCommand } from '../command.ts';
import { connectDaemon } from '../session/connect.ts';
import { sessionDefaults } from '../reading/session-defaults.ts';
import {
  listOption,
  numberOption,
  optionalPositionals,
  parseOptions,
  pathOption,
  textOption,
  type ParsedOptions,
} from '../reading/parse-options.ts';
import { callerName } from '../reading/caller-name.ts';
import { ownIdentity } from '../session/session.ts';

/** `casemate mcp`: a server of the Model Context Protocol over standard input and output, for the client that started it. */
export const run: RunCommand = async (args, context, row) => {
  const parsed = parseOptions(row, args);
  optionalPositionals(parsed, []);
  const roots = await rootsOf(listOption(parsed, 'root'), context);
  const asked = pathOption(parsed, 'policy', context.cwd);
  // Said here, not to the first client that asks for a session.
  const policy = asked === undefined ? undefined : await policyOfCaller(asked, roots);
  const caller = { name: callerName(textOption(parsed, 'caller') ?? 'mcp', '--caller'), roots, policy };
  const { env, stdin, stdout, stderr } = context;
  if (stdin.isTTY) {
    stderr.write(
      'casemate: this speaks the Model Context Protocol, for a client that starts it; see docs/mcp.md. Ctrl-D ends it.\n',
    );
  }
  await serveStdio({
    stdin,
    stdout,
    tools,
    identity: ownIdentity,
    host: {
      roots: caller.roots,
      paths: context.paths,
      userHome: env.get('HOME') ?? homedir(),
      programFolders: programFolders(env),
    },
    rate: createRate({ pace: paceOf(parsed) }),
    defaults: sessionDefaults(env),
    connect: async (progress = () => undefined) => await connectDaemon(context, { caller, asksNobody: true, progress }),
  });
  return 0;
};

const maxPace = 1000;

/** The person's to say, who starts this: a caller has no part in it. */
function paceOf(parsed: ParsedOptions): number {
  const pace = numberOption(parsed, 'pace') ?? 1;
  if (pace < 1 || pace > maxPace) {
    throw new CasemateError('USAGE', `--pace ${pace} is not from 1 to ${maxPace}`, { hint: 'For example: --pace 10' });
  }
  return pace;
}

/** Real paths, so that what a link is made to point at later is not among them. */
async function rootsOf(given: readonly string[], { cwd, env }: CommandContext): Promise<readonly string[]> {
  const roots = await Promise.all((given.length === 0 ? [cwd] : given).map((root) => rootFolder(resolve(cwd, root))));
  const home = env.get('HOME');
  const wide = given.length === 0 ? roots.find((root) => root === '/' || root === home) : undefined;
  if (wide !== undefined) {
    throw new CasemateError('USAGE', `no root is declared, and this was started in ${wide}, which is too wide for one`, {
      hint: 'Say where projects lie: casemate mcp --root ~/projects',
    });
  }
  return roots;
}
