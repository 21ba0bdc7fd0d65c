import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';

import { visible } from '../../../base/text.ts';
import type { ProcessIdentity } from '../../../system/process-identity.ts';
import { run, type RunResult } from '../../../system/process.ts';
import type { CommandSpec, Invocation, SandboxConnection, SendingProcess } from '../../engine.ts';
import { commandProcess } from '../bundle.ts';
import type { EngineContext } from '../context.ts';
import { containerOf, type EngineRecord } from '../../records.ts';
import { hexAddress, hexPort, socketOf } from '../../sending-process.ts';
import { commandCall, plainCall, type GvisorPlace } from './gvisor-calls.ts';
import { gvisorPlace } from './gvisor-place.ts';
import { kernelProcess } from './own-processes.ts';
import { filteredProcess } from './filtered-process.ts';
import { choiceOf, sharedFile } from './sandbox-folder.ts';

/** Work inside a sandbox that has gVisor's kernel, whose programs only that kernel knows. */

const timeoutMs = 30_000;

export interface GvisorSandbox {
  readonly context: EngineContext;
  readonly record: EngineRecord;
  /** its first process on the host */
  readonly keeper: ProcessIdentity;
}

function placeOf({ context: { layout, isRoot }, record, keeper }: GvisorSandbox): GvisorPlace {
  return gvisorPlace(record, { layout, isRoot, keeper: keeper.pid });
}

export async function gvisorInvocation(sandbox: GvisorSandbox, command: CommandSpec): Promise<Invocation> {
  const { context, record } = sandbox;
  const { spec } = record;
  const { executionId: execution, tty } = command;
  const folder = context.layout.sandbox(spec.id);
  const choice = await choiceOf(context.layout, spec.id);
  await sharedFile(folder.processFile(execution), JSON.stringify(await filteredProcess(commandProcess(spec, command), choice)));
  const pidFile = folder.executionPid(execution);
  const { file, args } = commandCall(containerOf(record), placeOf(sandbox), { execution, pidFile, tty });
  return { file, args, env: context.env, pidFile, errorLog: folder.executionLog(execution) };
}

/** Runs a command of ours inside, as the agent, and takes its files away. */
async function inside(sandbox: GvisorSandbox, command: readonly string[], limitMs = timeoutMs): Promise<RunResult> {
  const executionId = `own-${randomBytes(6).toString('hex')}`;
  const folder = sandbox.context.layout.sandbox(sandbox.record.spec.id);
  const { file, args, env } = await gvisorInvocation(sandbox, { command, cwd: '/', tty: false, executionId });
  try {
    return await run(file, args, { env, timeoutMs: limitMs, maxOutputBytes: 65_536 });
  } finally {
    const files = [folder.processFile(executionId), folder.executionPid(executionId), folder.executionLog(executionId)];
    await Promise.all(files.map((path) => rm(path, { force: true })));
  }
}

/** Every program of the agent's is asked to end. */
export async function askGvisorToEnd(sandbox: GvisorSandbox): Promise<void> {
  await inside(sandbox, ['/bin/sh', '-c', 'kill -TERM -1']);
}

/** How many programs run inside, the first one included; `undefined` where gVisor does not say. */
export async function countInside(sandbox: GvisorSandbox): Promise<number | undefined> {
  const { context, record } = sandbox;
  const { file, args } = plainCall(containerOf(record), placeOf(sandbox), ['ps', '--format', 'json']);
  const { exitCode, stdout } = await run(file, args, { env: context.env, timeoutMs });
  const value: unknown = exitCode === 0 ? JSON.parse(stdout.toString('utf8')) : undefined;
  return Array.isArray(value) ? value.length : undefined;
}

/** Prints the command line of the program that holds a connection: `$1` is its own port, `$2` where it leads to, in hex. */
const namesSender = `
while read -r row local remote state queues timer retransmits user timeout inode rest; do
  [ "\${local##*:}" = "$1" ] && [ "\${remote#\${remote%$2}}" = "$2" ] || continue
  held=$(find /proc/[0-9]*/fd -lname "socket:\\[$inode\\]" 2>/dev/null)
  for file in $held; do cat "\${file%/fd/*}/cmdline" && exit; done
done < /proc/net/tcp`;

const senderLimitMs = 3000;

/**
 * On the host every connection is held by gVisor's kernel. What the program behind it calls itself is asked inside, as the
 * agent, who may keep the answer from us.
 */
export async function gvisorSender(sandbox: GvisorSandbox, connection: SandboxConnection): Promise<SendingProcess | undefined> {
  const { keeper } = sandbox;
  const [socket, pid] = await Promise.all([socketOf(keeper.pid, connection), kernelProcess(keeper)]);
  if (socket === undefined || pid === undefined) {
    return undefined;
  }
  const { localPort, remoteAddress, remotePort } = connection;
  const where = [hexPort(localPort), `${hexAddress(remoteAddress)}:${hexPort(remotePort)}`];
  const asked = ['/bin/sh', '-c', namesSender, 'sh', ...where];
  const result = await inside(sandbox, asked, senderLimitMs).catch(() => undefined);
  const said = visible(result?.stdout.toString('latin1').replaceAll('\0', ' ').trim() ?? '').slice(0, 300);
  return { pid, command: said === '' ? "a program that gVisor's kernel does not name" : said };
}

/**
 * Ends a command and what is in its session, as `kill -9` does; `$1` is the number of its first program. Whoever left the
 * session on purpose stays. Looked at again until none is left, because one may start another between look and signal.
 */
const endSession = `
round=0 left=1
while [ $left -gt 0 ] && [ $round -lt 20 ]; do
  left=0 round=$((round + 1))
  for folder in /proc/[0-9]*; do
    read -r line 2>/dev/null < "$folder/stat" || continue
    set -- "$1" \${line##*) }
    if [ "$5" = "$1" ] && [ "$2" != Z ]; then kill -9 "\${folder#/proc/}" 2>/dev/null; left=1; fi
  done
done`;

export async function endGvisorSession(sandbox: GvisorSandbox, leader: string): Promise<void> {
  await inside(sandbox, ['/bin/sh', '-c', endSession, 'sh', leader]);
}
