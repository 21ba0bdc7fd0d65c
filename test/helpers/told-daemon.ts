import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';

import { socketPath, type OpenAnswer } from '../../src/daemon/protocol.ts';
import { listenForCalls, type CallContext, type Calling, type Control } from '../../src/daemon/server.ts';
import { version } from '../../src/system/version.ts';
import type { Home } from './cli.ts';

/** The control socket of a daemon that starts nothing: what is asked is written down, and answered as a test says. */
export interface ToldDaemon {
  /** method and parameters, in the order in which they came */
  readonly asked: (readonly [string, Record<string, unknown>])[];
  readonly control: Control;
}

export type Answers = Readonly<Record<string, (params: never, call: CallContext) => Promise<unknown>>>;

export async function listenAs(home: Home, build: string, answers: Answers): Promise<ToldDaemon> {
  const asked: (readonly [string, Record<string, unknown>])[] = [];
  const calls: Record<string, unknown> = {};
  for (const [method, answer] of Object.entries(answers)) {
    calls[method] = async (params: never, call: CallContext) => {
      asked.push([method, params]);
      return await answer(params, call);
    };
  }
  await mkdir(home.paths.runtime, { recursive: true });
  const control = await listenForCalls({
    path: socketPath(home.paths),
    calls: calls as unknown as Calling,
    callsOf: () => calls as unknown as Calling,
    hello: { version, build },
    onActivity: () => undefined,
  });
  return { asked, control };
}

/** The answer to a call that opens a command, which is a shell line on this host. */
export function opened(
  home: Home,
  line: string,
  more: { readonly errorLog?: string; readonly logFile?: string } = {},
): OpenAnswer {
  const { errorLog = '/nonexistent', logFile = join(home.root, 'output.log') } = more;
  const invocation = { file: '/bin/sh', args: ['-c', line], env: { PATH: '/usr/bin:/bin' }, pidFile: '/nonexistent', errorLog };
  return { executionId: 'ex-0123456789abcdef', invocation, logFile } as unknown as OpenAnswer;
}
