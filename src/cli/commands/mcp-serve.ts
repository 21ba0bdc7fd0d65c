import { homedir } from 'node:os';

import { CasemateError } from '../../base/errors.ts';
import { connectDaemon } from '../session/connect.ts';
import { ownIdentity } from '../session/session.ts';
import { serveHttp } from '../../mcp/serve-http.ts';
import { tools } from '../../mcp/tools.ts';
import { programFolders } from '../../system/environment.ts';
import type { RunCommand } from '../command.ts';
import { sessionDefaults } from '../reading/session-defaults.ts';
import { numberOption, optionalPositionals, parseOptions } from '../reading/parse-options.ts';

/** `casemate mcp serve`: MCP over HTTP on loopback, for callers with tokens, until it is stopped. */
export const run: RunCommand = async (args, context, row) => {
  const parsed = parseOptions(row, args);
  optionalPositionals(parsed, []);
  const port = numberOption(parsed, 'port', 1) ?? 7391;
  if (port > 65_535) {
    throw new CasemateError('USAGE', `--port ${port} is no port`, { hint: 'Ports are from 1 to 65535.' });
  }
  const { env, paths, stderr } = context;
  const server = await serveHttp({
    port,
    tools,
    async findCaller(token) {
      const client = await connectDaemon(context);
      const { claim } = await client.call('caller-find', { token }).finally(() => client.close());
      return claim;
    },
    async stillHolds({ token: hash = '' }) {
      try {
        // Nobody starts a daemon only to hear this: where none runs, nothing of a caller does.
        const client = await connectDaemon(context, { start: 'never' });
        return (await client.call('caller-find', { hash }).finally(() => client.close())).claim !== undefined;
      } catch {
        return true;
      }
    },
    partsOf: (caller) => ({
      identity: ownIdentity,
      defaults: sessionDefaults(env),
      host: { roots: caller.roots, paths, userHome: env.get('HOME') ?? homedir(), programFolders: programFolders(env) },
      connect: async (progress = () => undefined) => await connectDaemon(context, { caller, asksNobody: true, progress }),
    }),
  });
  stderr.write(`casemate: MCP at http://127.0.0.1:${server.port}/mcp (casemate caller add NAME gives a token; Ctrl-C ends it)\n`);
  const { promise, resolve } = Promise.withResolvers<void>();
  process.once('SIGINT', () => resolve());
  process.once('SIGTERM', () => resolve());
  await promise;
  await server.close();
  return 0;
};
