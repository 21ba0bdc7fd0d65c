import type { Duplex } from 'node:stream';

import { CasemateError } from '../../../base/errors.ts';
import { visible } from '../../../base/text.ts';
import { line } from '../../oci/stage-plan.ts';
import { frameReader } from '../output-frames.ts';

/** Questions to `observe.pl` over the connection that the engine made to it. Answers come in the order of the questions. */
export interface Questions {
  /** Throws `ENGINE_FAILED` with what it said against it, `TIMED_OUT`, or `Lost` where the connection has ended. */
  readonly ask: (question: readonly (string | number)[], limitMs: number) => Promise<Buffer>;
  readonly end: () => void;
}

/** The other end is gone: whether the question was carried out is not known. */
export class Lost extends Error {}

interface Waiting {
  readonly resolve: (answer: Buffer) => void;
  readonly reject: (error: Error) => void;
}

/** More than it ever reads. */
const greatestAnswer = 16 * 1024 * 1024;

/**
 * `isRunning`: whether the program still does, asked while an answer is waited for: the engine may leave a connection open whose
 * other end it has killed.
 */
export function questions(
  connection: Duplex,
  { isRunning, lookMs = 1000 }: { readonly isRunning: () => Promise<boolean>; readonly lookMs?: number | undefined },
): Questions {
  const waiting: Waiting[] = [];
  let said = Buffer.alloc(0);
  let complaint = '';
  let lost: Error | undefined;
  const lose = (why: string): void => {
    lost ??= new Lost(`the observer has ended: ${visible(complaint.trim()).slice(0, 300) || why}`);
    const error = lost;
    waiting.splice(0).forEach(({ reject }) => reject(error));
    connection.destroy();
  };
  const take = frameReader((stream, text) => {
    if (stream === 2) {
      complaint = (complaint + text.toString('utf8')).slice(-1000);
      return;
    }
    said = Buffer.concat([said, text]);
    for (let answer = answerIn(said); answer !== undefined; answer = answerIn(said)) {
      said = said.subarray(answer.end);
      settle(waiting.shift(), answer);
    }
    if (said.length > greatestAnswer) {
      lose('it says too much');
    }
  });
  connection.on('data', take);
  connection.on('error', (error) => lose(error.message));
  connection.on('end', () => lose('no reason given'));
  connection.on('close', () => lose('no reason given'));
  return {
    async ask(question, limitMs) {
      if (lost !== undefined) {
        throw lost;
      }
      const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
      waiting.push({ resolve, reject });
      connection.write(`${line(...question)}\n`);
      // Answers come in turn: behind one that does not come there is none.
      const timer = setTimeout(() => {
        reject(new CasemateError('TIMED_OUT', `the observer did not answer within ${limitMs} ms`));
        lose('no answer');
      }, limitMs);
      const look = setInterval(() => {
        void isRunning().then(
          (is) => (is ? undefined : lose('it was ended')),
          () => undefined,
        );
      }, lookMs);
      try {
        return await promise;
      } finally {
        clearTimeout(timer);
        clearInterval(look);
      }
    },
    end: () => lose('closed'),
  };
}

interface Answer {
  readonly isRefusal: boolean;
  readonly text: Buffer;
  /** where the next one begins */
  readonly end: number;
}

function settle(asked: Waiting | undefined, { isRefusal, text }: Answer): void {
  if (isRefusal) {
    asked?.reject(new CasemateError('ENGINE_FAILED', visible(text.toString('utf8').trim()).slice(0, 300)));
  } else {
    asked?.resolve(text);
  }
}

/** The first whole answer. */
function answerIn(said: Buffer): Answer | undefined {
  const head = said.indexOf(10);
  const [, word, digits] = /^(ok|no) (\d{1,9})$/.exec(said.toString('latin1', 0, Math.max(0, head))) ?? [];
  const end = head + 1 + Number(digits);
  return word === undefined || said.length < end
    ? undefined
    : { isRefusal: word === 'no', text: said.subarray(head + 1, end), end };
}
