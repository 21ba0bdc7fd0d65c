import type { Client } from '../../daemon/client.ts';
import type { OpenAnswer } from '../../daemon/protocol.ts';
import { atTerminal } from '../../proof/outside/host-terminal.ts';
import { run } from '../../system/process.ts';
import { ownIdentity } from './session.ts';

/** A command in a running sandbox whose output is for this program, not for the terminal. */
export interface InsideCall {
  readonly name: string;
  readonly command: readonly string[];
  readonly timeoutMs?: number | undefined;
  readonly input?: string | undefined;
  /** at a terminal of this host that is made for it; what it says of it stands behind this word */
  readonly terminal?: string | undefined;
}

export interface InsideResult {
  readonly code: number;
  readonly out: Buffer;
  readonly err: Buffer;
}

export async function runInside(client: Client, { name, command, ...options }: InsideCall): Promise<InsideResult> {
  const opened = await client.call('exec', {
    name,
    command,
    env: {},
    tty: false,
    timeoutMs: options.timeoutMs,
    client: await ownIdentity(),
  });
  return await carryOut(client, opened, options);
}

async function carryOut(
  client: Client,
  { executionId, invocation }: OpenAnswer,
  { timeoutMs, input, terminal }: Omit<InsideCall, 'name' | 'command'>,
): Promise<InsideResult> {
  const { file, args, env } = invocation;
  let code = 125;
  try {
    const words = [file, ...args];
    const [program = file, ...rest] = terminal === undefined ? words : await atTerminal(terminal, words);
    const result = await run(program, rest, { env, input, timeoutMs });
    code = result.exitCode;
    return { code, out: result.stdout, err: result.stderr };
  } finally {
    await client.call('close', { executionId, exitCode: code });
  }
}
