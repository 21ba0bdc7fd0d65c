import { describe, expect, it } from 'vitest';

import { proveFirst } from '../../../src/cli/session/prove-first.ts';
import type { CommandContext } from '../../../src/cli/command.ts';
import type { Client } from '../../../src/daemon/client.ts';
import type { OpenAnswer } from '../../../src/daemon/protocol.ts';

/** A daemon whose sandbox answers no question: `perl` is not there, as in an image that somebody else made. */
function silentSandbox() {
  const calls: { readonly method: string; readonly params: unknown }[] = [];
  const answers: Readonly<Record<string, unknown>> = {
    inspect: { plan: { waive: [] } },
    exec: { executionId: 'ex-1', invocation: { file: '/bin/false', args: [], env: {} } },
    processes: { pids: [] },
  };
  const call = (method: string, params: unknown): Promise<unknown> => {
    calls.push({ method, params });
    return Promise.resolve(answers[method] ?? {});
  };
  return { calls, client: { call } as unknown as Client };
}

describe('proving before a command starts', () => {
  it('starts nothing in a sandbox whose probes could not be decided, and has that recorded', async () => {
    const { client, calls } = silentSandbox();
    const said: string[] = [];
    const context = { uid: 0, stderr: { write: (text: string) => said.push(text) } } as unknown as CommandContext;
    const opened = { sandbox: { name: 'work' }, executionId: 'ex-own' } as OpenAnswer;
    await expect(proveFirst(context, client, opened)).rejects.toMatchObject({
      code: 'PROOF_FAILED',
      message: expect.stringContaining('kernel.privilege'),
    });
    expect(said).toEqual([]);
    const seal = calls.find(({ method }) => method === 'prove-seal');
    expect(seal?.params).toMatchObject({ name: 'work', outcome: { verdicts: { G1: 'inconclusive' } } });
    expect(calls.at(-1)).toEqual({ method: 'close', params: { executionId: 'ex-own', exitCode: 125 } });
  });
});
