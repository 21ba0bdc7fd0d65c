import { closeSync, constants, openSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { CasemateError, isErrorCode, toCasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import type { StartedDaemon } from '../../daemon/client.ts';
import type { WireError } from '../../daemon/protocol.ts';
import { startFaultPath } from '../../daemon/start-fault.ts';
import { choosingVariables } from '../../engines/engine-choice.ts';
import { baseEnvironment, type Environment } from '../../system/environment.ts';
import { makeFolders } from '../../system/files.ts';
import { spawnProcess } from '../../system/process.ts';
import type { CommandContext } from '../command.ts';

/** Starts the daemon for the first command that finds none. Loaded only then, because most commands find one. */

/** Settings of the host that the daemon needs; never a credential, which is asked for when a sandbox starts. */
const daemonVariables = [
  'CASEMATE_HOME',
  'CASEMATE_IMAGES',
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
  ...choosingVariables,
  'SSH_AUTH_SOCK',
] as const;

/**
 * What Node is started with. Without the first a signal would open a debugger, and with it the memory of the process. The
 * second keeps small what was just used and is free again: 40 MiB less under load, for no more processor time. The third
 * keeps the code of what is done seldom and waited for, such as a start, which would else be compiled anew after a rest.
 *
 * The last: two MiB are looked through sooner by one thread than four can be woken; on a busy machine a pause took half as long.
 */
export const daemonFlags: readonly string[] = [
  '--disable-sigusr1',
  '--max-semi-space-size=2',
  '--no-flush-bytecode',
  '--no-parallel-scavenge',
];

export function startDaemon({ env, paths, entry: given }: CommandContext): StartedDaemon {
  makeFolders(paths.state);
  const opening = constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND | constants.O_NOFOLLOW;
  const log = openSync(join(paths.state, 'daemon.log'), opening, 0o600);
  const entry = given ?? realpathSync(process.argv[1] ?? '');
  // Flags of a program that only uses us are not for the daemon.
  const flags = given === undefined ? process.execArgv : [];
  const args = [...flags, ...daemonFlags, entry, 'daemon', 'serve'];
  const child = spawnProcess(process.execPath, args, {
    cwd: '/',
    detached: true,
    env: daemonEnvironment(env),
    stdio: ['ignore', log, log],
  });
  // It may lose the race against another caller's daemon; whichever runs is found by connecting.
  let exitCode: number | null | undefined;
  let unstarted: CasemateError | undefined;
  child.on('error', (cause) => {
    unstarted = new CasemateError('DAEMON_UNREACHABLE', `the daemon cannot be started: ${visible(cause.message)}`, { cause });
  });
  child.on('exit', (code) => {
    exitCode = code;
  });
  child.unref();
  closeSync(log);
  const hasEnded = (): boolean => exitCode !== undefined;
  return {
    hasEnded,
    fault: () =>
      unstarted ?? (hasEnded() && exitCode !== 0 ? readFault(startFaultPath(paths, child.pid ?? 0), paths.state) : undefined),
  };
}

function readFault(path: string, state: string): CasemateError {
  try {
    // oxlint-disable-next-line no-unsafe-type-assertion -- our own file, written by the daemon in its private folder
    const { code, message, hint } = JSON.parse(readFileSync(path, 'utf8')) as WireError;
    rmSync(path, { force: true });
    return new CasemateError(isErrorCode(code) ? code : 'DAEMON_UNREACHABLE', message, { hint });
  } catch (cause) {
    const full = noRoomIn(state);
    if (full !== undefined) {
      return full;
    }
    return new CasemateError('DAEMON_UNREACHABLE', 'the daemon ended while it started', {
      cause,
      hint: `Its last words are in ${join(state, 'daemon.log')}`,
    });
  }
}

/** On a full disk the daemon could not leave a word either. */
function noRoomIn(folder: string): CasemateError | undefined {
  const path = join(folder, `room-for-${process.pid}`);
  try {
    writeFileSync(path, Buffer.alloc(4096), { flag: 'wx', mode: 0o600 });
    return undefined;
  } catch (cause) {
    const hint = 'Make room, then run it again.';
    return toCasemateError(cause).code === 'DISK_FULL'
      ? new CasemateError('DISK_FULL', `the disk or its quota is full: no room in ${folder}`, { cause, hint })
      : undefined;
  } finally {
    rmSync(path, { force: true });
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
