import type { Client } from '../../daemon/client.ts';
import type { OpenAnswer } from '../../daemon/protocol.ts';
import { run } from '../../system/process.ts';
import { ownIdentity } from './session.ts';

/** A command in a running sandbox whose output is for this program, not for the terminal. */
export interface InsideCall {
  readonly name: string;
  readonly command: readonly string[];
  readonly timeoutMs?: number | undefined;
  readonly input?: string | undefined;
}

export interface InsideResult {
  readonly code: number;
  readonly out: Buffer;
  readonly err: Buffer;
}

export async function runInside(client: Client, { name, command, timeoutMs, input }: InsideCall): Promise<InsideResult> {
  const opened = await client.call('exec', { name, command, env: {}, tty: false, timeoutMs, client: await ownIdentity() });
  return await carryOut(client, opened, { timeoutMs, input });
}

async function carryOut(
  client: Client,
  { executionId, invocation }: OpenAnswer,
  { timeoutMs, input }: Pick<InsideCall, 'timeoutMs' | 'input'>,
): Promise<InsideResult> {
  const { file, args, env } = invocation;
  let code = 125;
  try {
    const result = await run(file, args, { env, input, timeoutMs });
    code = result.exitCode;
    return { code, out: result.stdout, err: result.stderr };
  } finally {
    await client.call('close', { executionId, exitCode: code });
  }
}
