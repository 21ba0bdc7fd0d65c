import { readFile, stat } from 'node:fs/promises';
import { homedir } from 'node:os';

import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import { connectDaemon } from '../session/connect.ts';
import { ownIdentity } from '../session/session.ts';
import { requireListenable, type ListenerOptions } from '../../mcp/http-listener.ts';
import { serveHttp } from '../../mcp/serve-http.ts';
import { tools } from '../../mcp/tools.ts';
import { programFolders } from '../../system/environment.ts';
import type { CommandContext, RunCommand } from '../command.ts';
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
import { askDaemon } from '../session/ask-daemon.ts';

/** `casemate mcp serve`: MCP over HTTP, on loopback unless asked, for callers with tokens, until it is stopped. */
export const run: RunCommand = async (args, context, row) => {
  const parsed = parseOptions(row, args);
  optionalPositionals(parsed, []);
  const port = numberOption(parsed, 'port', 1) ?? 7391;
  if (port > 65_535) {
    throw new CasemateError('USAGE', `--port ${port} is no port`, { hint: 'Ports are from 1 to 65535.' });
  }
  const { env, paths, stderr } = context;
  const listening = await listeningOf(parsed, context);
  const server = await serveHttp({
    ...listening,
    port,
    tools,
    async findCaller(token) {
      const { claim } = await askDaemon(context, 'caller-find', { token });
      return claim;
    },
    async stillHolds({ token: hash = '' }) {
      try {
        // Nobody starts a daemon only to hear this: where none runs, nothing of a caller does.
        return (await askDaemon(context, 'caller-find', { hash }, { start: 'never' })).claim !== undefined;
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
  stderr.write(`casemate: MCP at ${server.url} (casemate caller add NAME gives a token; Ctrl-C ends it)\n`);
  const { promise, resolve } = Promise.withResolvers<void>();
  process.once('SIGINT', () => resolve());
  process.once('SIGTERM', () => resolve());
  await promise;
  await server.close();
  return 0;
};

async function listeningOf(parsed: ParsedOptions, context: CommandContext): Promise<Omit<ListenerOptions, 'port'>> {
  const [cert, key] = ['tls-cert', 'tls-key'].map((name) => pathOption(parsed, name, context.cwd));
  if ((cert === undefined) !== (key === undefined)) {
    throw new CasemateError('USAGE', '--tls-cert and --tls-key go together', { hint: 'Give both, or none.' });
  }
  const tls =
    cert === undefined || key === undefined ? undefined : { cert: await pem(cert), key: await privateKey(key, context.uid) };
  const hosts = listOption(parsed, 'host').map((name) => name.toLowerCase());
  const odd = hosts.find((name) => !/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$|^\[[0-9a-f:.]+\]$/.test(name));
  if (odd !== undefined) {
    throw new CasemateError('USAGE', `--host ${visible(odd)} is not the name of a host`, { hint: 'Without a port.' });
  }
  const listening = { address: textOption(parsed, 'listen'), hosts, tls };
  requireListenable({ ...listening, port: 1 });
  return listening;
}

async function pem(path: string): Promise<string> {
  return await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new CasemateError('PATH_INVALID', `${visible(path)} cannot be read`, { cause });
  });
}

/** One that others can read is worth nothing. */
async function privateKey(path: string, uid: number): Promise<string> {
  const text = await pem(path);
  const { mode, uid: owner } = await stat(path);
  if (owner !== uid || (mode & 0o077) !== 0) {
    throw new CasemateError('PATH_INVALID', `the key ${visible(path)} can be read by others`, {
      hint: `Run: chmod 600 ${visible(path)}`,
    });
  }
  return text;
}
