import { getSystemErrorName } from 'node:util';

import { CasemateError, isErrorCode } from '../../base/errors.ts';
import { lineSplitter } from '../../base/line-splitter.ts';
import { lostBeforeAnswer } from '../../daemon/client.ts';
import { linkExecution, type ExecutionLink } from '../../daemon/execution-link.ts';
import { maxLineBytes, type CloseAnswer, type FromDaemon } from '../../daemon/protocol.ts';
import { startFailure } from '../../daemon/start-failure.ts';
import type { RunCommand } from '../command.ts';
import { connectDaemon } from '../session/connect.ts';
import { tellEnd, unstarted, unwritable, type Ended } from '../session/tell-end.ts';

/**
 * Does what the short way (`cli/short-way`) leaves to do after it has asked the daemon. It gets that as JSON, one object a line,
 * on standard input, and the short way exits with this command's exit code.
 */
interface Story {
  /** what the daemon answered to the call, where that is the end; without this and an id: it ended before it answered */
  readonly answer?: Extract<FromDaemon, { type: 'result' | 'error' }>;
  readonly executionId?: string;
  /** how the command ended; absent: it goes on, and the daemon was lost */
  readonly exitCode?: number;
  /** where the runtime may have written why it could not start it */
  readonly errorLog?: string;
  /** `errno` of the write that failed */
  readonly unwritable?: number;
  readonly unstarted?: { readonly file: string; readonly errno: number };
}

export const run: RunCommand = async (_args, context) => {
  let link: ExecutionLink | undefined;
  const connect = () => connectDaemon(context);
  for await (const line of linesOf(context.stdin)) {
    // oxlint-disable-next-line no-unsafe-type-assertion -- our own program, of the same build
    const story = JSON.parse(line) as Story;
    const { executionId, exitCode, answer } = story;
    if (answer?.type === 'error') {
      const { code, message, hint } = answer.error;
      throw new CasemateError(isErrorCode(code) ? code : 'INTERNAL', message, { hint });
    }
    if (answer !== undefined) {
      // oxlint-disable-next-line no-unsafe-type-assertion -- the daemon's answer to "close"
      return tellEnd(context, endOf(story), answer.value as CloseAnswer);
    }
    if (executionId === undefined) {
      throw lostBeforeAnswer();
    }
    link ??= linkExecution(undefined, { executionId, connect });
    if (exitCode !== undefined) {
      const end = endOf(story);
      return tellEnd(context, end, await link.reportEnd(end.exitCode));
    }
  }
  // Whoever waited for the command was killed: the daemon ends it, as it ends those of every lost caller.
  link?.drop();
  return 125;
};

async function* linesOf(stream: NodeJS.ReadStream): AsyncGenerator<string> {
  const lines = lineSplitter(maxLineBytes);
  for await (const piece of stream) {
    for (const line of lines.take(Buffer.from(piece))) {
      yield line?.toString('utf8') ?? '';
    }
  }
}

function endOf(story: Story): Ended {
  const { exitCode = 125, errorLog } = story;
  if (story.unwritable !== undefined) {
    return { exitCode, fault: unwritable(getSystemErrorName(-story.unwritable)) };
  }
  if (story.unstarted !== undefined) {
    const { file, errno } = story.unstarted;
    return { exitCode, fault: unstarted(file, getSystemErrorName(-errno)) };
  }
  return { exitCode: (errorLog === undefined ? undefined : startFailure({ errorLog }, exitCode)) ?? exitCode };
}
