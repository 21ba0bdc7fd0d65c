import { closeSync, constants, mkdirSync, openSync, readFileSync, realpathSync } from 'node:fs';
import { join } from 'node:path';

import { CasemateError, isErrorCode } from '../base/errors.ts';
import { visible } from '../base/text.ts';
import { connectClient, type Client, type StartedDaemon } from '../daemon/client.ts';
import { buildId } from '../daemon/build-id.ts';
import { socketPath, startFaultPath, type Question, type WireError } from '../daemon/protocol.ts';
import { baseEnvironment, type Environment } from '../system/environment.ts';
import { spawnProcess } from '../system/process.ts';
import type { CommandContext } from './command.ts';

/** The way of every command to the daemon: it is started when none runs, and its questions are answered here. */

export interface ConnectOptions {
  /** `never`: only an existing daemon will do */
  readonly start?: 'if needed' | 'never';
  /** `--trust`: the answer to the question about a project's policy */
  readonly trust?: boolean | undefined;
  /** takes what the daemon reports on the way; default: to standard error */
  readonly progress?: ((text: string) => void) | undefined;
  /** variables that the daemon may ask for beside those of the environment */
  readonly answers?: Readonly<Record<string, string>> | undefined;
}

export async function connectDaemon(context: CommandContext, options: ConnectOptions = {}): Promise<Client> {
  const client = await open(context, options);
  if (client.hello.build === buildId() || options.start === 'never') {
    return client;
  }
  return await replaceOld(client, context, options);
}

async function open(context: CommandContext, options: ConnectOptions): Promise<Client> {
  return await connectClient({
    socketPath: socketPath(context.paths),
    answer: (question) => answer(question, context, options),
    progress: options.progress ?? ((text) => void context.stderr.write(`${visible(text)}\n`)),
    startDaemon: options.start === 'never' ? undefined : () => startDaemon(context),
  });
}

/** A daemon of another build is asked to make way; with sandboxes running it stays, and the person is told. */
async function replaceOld(client: Client, context: CommandContext, options: ConnectOptions): Promise<Client> {
  try {
    await client.call('shutdown', { force: false });
  } catch (cause) {
    throw new CasemateError(
      'DAEMON_UNREACHABLE',
      `the daemon that runs is of another version (${visible(client.hello.version)}) and holds sandboxes`,
      {
        cause,
        hint: 'Run: casemate daemon stop --force, then this command again.',
      },
    );
  }
  await client.whenClosed();
  return await open(context, options);
}

async function answer(question: Question, context: CommandContext, options: ConnectOptions): Promise<unknown> {
  if (question.kind === 'environment') {
    return Object.fromEntries(question.names.map((name) => [name, options.answers?.[name] ?? context.env.get(name)]));
  }
  if (options.trust === true) {
    return true;
  }
  const { askApproval } = await import('./approve.ts');
  return await askApproval(context, question);
}

/** Settings of the host that the daemon needs; never a credential, which is asked for when a sandbox starts. */
const daemonVariables = [
  'CASEMATE_HOME',
  'CASEMATE_IMAGES',
  'XDG_CONFIG_HOME',
  'XDG_STATE_HOME',
  'XDG_DATA_HOME',
  'XDG_CACHE_HOME',
  'HTTP_PROXY',
  'HTTPS_PROXY',
  'NO_PROXY',
  'http_proxy',
  'https_proxy',
  'no_proxy',
  'SSL_CERT_FILE',
  'NODE_EXTRA_CA_CERTS',
  'CASEMATE_IDLE_MS',
] as const;

function startDaemon({ env, paths }: CommandContext): StartedDaemon {
  mkdirSync(paths.state, { recursive: true, mode: 0o700 });
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND | constants.O_NOFOLLOW;
  const log = openSync(join(paths.state, 'daemon.log'), flags, 0o600);
  const entry = realpathSync(process.argv[1] ?? '');
  const child = spawnProcess(process.execPath, [...process.execArgv, entry, 'daemon', 'serve'], {
    cwd: '/',
    detached: true,
    env: daemonEnvironment(env),
    stdio: ['ignore', log, log],
  });
  // It may lose the race against another caller's daemon; whichever runs is found by connecting.
  let exitCode: number | null | undefined;
  child.on('error', () => undefined);
  child.on('exit', (code) => {
    exitCode = code;
  });
  child.unref();
  closeSync(log);
  const hasEnded = (): boolean => exitCode !== undefined;
  return { hasEnded, fault: () => (hasEnded() && exitCode !== 0 ? readFault(startFaultPath(paths)) : undefined) };
}

function readFault(path: string): CasemateError {
  try {
    // oxlint-disable-next-line no-unsafe-type-assertion -- our own file, written by the daemon in its private folder
    const { code, message, hint } = JSON.parse(readFileSync(path, 'utf8')) as WireError;
    return new CasemateError(isErrorCode(code) ? code : 'DAEMON_UNREACHABLE', message, { hint });
  } catch (cause) {
    return new CasemateError('DAEMON_UNREACHABLE', 'the daemon ended while it started', {
      cause,
      hint: 'Its last words are in daemon.log in the state folder.',
    });
  }
}

function daemonEnvironment(env: Environment): Record<string, string> {
  const result = baseEnvironment(env);
  for (const name of daemonVariables) {
    const value = env.get(name);
    if (value !== undefined) {
      result[name] = value;
    }
  }
  return result;
}
