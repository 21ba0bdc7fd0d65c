/** Questions to the observer: answered in turn, however the pieces come, and none left waiting when it ends. */
import { PassThrough, Duplex } from 'node:stream';

import { describe, expect, test } from 'vitest';

import { Lost, questions } from '../../../src/engines/docker/kernel/questions.ts';

/** What is written here is asked, what is pushed is said. */
function connection(): { readonly stream: Duplex; readonly said: PassThrough; readonly asked: () => string } {
  const [said, asked] = [new PassThrough(), new PassThrough()];
  let text = '';
  asked.on('data', (piece: Buffer) => {
    text += piece.toString('utf8');
  });
  return { stream: Duplex.from({ readable: said, writable: asked }), said, asked: () => text };
}

const running = { isRunning: async () => true };

function frame(text: string, stream = 1): Buffer {
  const head = Buffer.alloc(8);
  head[0] = stream;
  head.writeUInt32BE(Buffer.byteLength(text), 4);
  return Buffer.concat([head, Buffer.from(text)]);
}

describe('questions to the observer', () => {
  test('are one line each, and answered in turn, whole, also where one is refused', async () => {
    const { stream, said, asked } = connection();
    const { ask, end } = questions(stream, running);
    const all = Promise.allSettled([ask(['read', 7, 'a\tb\nc'], 5000), ask(['stage', ''], 5000), ask(['inside', 1, 2], 5000)]);
    const answers = Buffer.concat([frame('ok 5\none\n'), frame('2no 4\nbad\nok 0\n'), frame('note\n', 2)]);
    for (const byte of answers) {
      said.write(Buffer.from([byte]));
    }
    const [first, second, third] = await all;
    expect(first).toMatchObject({ status: 'fulfilled', value: Buffer.from('one\n2') });
    expect(second).toMatchObject({ status: 'rejected', reason: { code: 'ENGINE_FAILED', message: 'bad' } });
    expect(third).toMatchObject({ status: 'fulfilled', value: Buffer.alloc(0) });
    expect(asked()).toBe('read\t7\ta%09b%0Ac\nstage\t\ninside\t1\t2\n');
    end();
  });

  test('all fail when it ends, with its last words, and so does each later one', async () => {
    const { stream, said } = connection();
    const { ask } = questions(stream, running);
    const waiting = ask(['hello'], 5000).catch((error: unknown) => error);
    said.write(frame('perl: \u001B[1mout of memory\n', 2));
    said.end();
    const error = await waiting;
    expect(error).toBeInstanceOf(Lost);
    expect(String(error)).toMatch(/out of memory/);
    expect(String(error)).not.toContain('\u001B');
    await expect(ask(['hello'], 5000)).rejects.toBeInstanceOf(Lost);
  });

  test('fail where the engine keeps the connection open and has ended the program', async () => {
    const { stream } = connection();
    const answers = [true, false];
    const { ask } = questions(stream, { isRunning: async () => answers.shift() === true, lookMs: 5 });
    await expect(ask(['hello'], 60_000)).rejects.toBeInstanceOf(Lost);
    expect(answers).toEqual([]);
  });

  test('that are not answered in time end the connection: behind one that does not come there is none', async () => {
    const { stream } = connection();
    const { ask } = questions(stream, running);
    const later = ask(['read', 1, 'status'], 60_000).catch((error: unknown) => error);
    await expect(ask(['hello'], 20)).rejects.toMatchObject({ code: 'TIMED_OUT' });
    expect(await later).toBeInstanceOf(Lost);
  });
});
