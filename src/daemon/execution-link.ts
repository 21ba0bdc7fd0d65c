import { isCasemateError } from '../base/errors.ts';
import type { Client } from './client.ts';
import type { CloseAnswer } from './protocol.ts';

/** A caller's link to the daemon while its command runs: restored when the daemon was killed, and told of the end once. */
export interface ExecutionLink {
  /** Ends the tie. Throws where no daemon can be told. */
  readonly reportEnd: (exitCode: number) => Promise<CloseAnswer>;
  /** Ends the tie without a word: the daemon then takes the caller for lost. */
  readonly drop: () => void;
}

export interface LinkOptions {
  readonly executionId: string;
  /** another connection for the same caller */
  readonly connect: () => Promise<Client>;
}

/** `client`: `undefined`: the daemon that knew it is gone already. */
export function linkExecution(client: Client | undefined, { executionId, connect }: LinkOptions): ExecutionLink {
  let current = client;
  let ended = false;
  const stayInTouch = async (): Promise<void> => {
    await current?.whenClosed();
    if (ended) {
      return;
    }
    const next = await connect();
    current = next;
    // The command may have ended while the new daemon started: then nobody waits for this connection any more.
    if (ended) {
      next.close();
      return;
    }
    // The command goes on without a key that cannot be had again: the daemon says so in each answer to it.
    await next.call('resume', { executionId }).catch(() => undefined);
    await stayInTouch();
  };
  // A daemon that cannot be had again is noticed when the end is reported.
  stayInTouch().catch(() => undefined);
  return {
    drop() {
      ended = true;
      current?.close();
    },
    async reportEnd(exitCode) {
      ended = true;
      try {
        return await tell(current ?? (await connect()), { executionId, exitCode });
      } catch (error) {
        if (!isCasemateError(error) || error.code !== 'DAEMON_UNREACHABLE') {
          throw error;
        }
        return await tell(await connect(), { executionId, exitCode });
      }
    },
  };
}

async function tell(client: Client, end: { executionId: string; exitCode: number }): Promise<CloseAnswer> {
  try {
    return await client.call('close', end);
  } finally {
    // Also one that could not record the end: this process would wait for it for ever.
    client.close();
  }
}
