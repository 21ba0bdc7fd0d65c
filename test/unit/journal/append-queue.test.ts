import { describe, expect, test } from 'vitest';

import { appendQueue, type BatchStore } from '../../../src/journal/append-queue.ts';

function memoryStore(): BatchStore & { batches: string[]; failNext: Error[]; takenBack: number; stuck: Error | undefined } {
  const store = {
    batches: [] as string[],
    failNext: [] as Error[],
    takenBack: 0,
    stuck: undefined as Error | undefined,
    async write(bytes: Buffer) {
      await new Promise(setImmediate);
      const failure = store.failNext.shift();
      if (failure !== undefined) {
        throw failure;
      }
      store.batches.push(bytes.toString());
    },
    async takeBack() {
      store.takenBack += 1;
      if (store.stuck !== undefined) {
        throw store.stuck;
      }
    },
  };
  return store;
}

describe('the append queue', () => {
  test('writes together what is appended together, in order', async () => {
    const store = memoryStore();
    const queue = appendQueue(0, store);
    await Promise.all(Array.from({ length: 100 }, (_, index) => queue.push(`line ${index}`, index + 1)));
    expect(store.batches).toEqual([Array.from({ length: 100 }, (_, index) => `line ${index}\n`).join('')]);
  });

  test('shares a write among appenders that each wait for their own', async () => {
    const store = memoryStore();
    const queue = appendQueue(0, store);
    await Promise.all(
      Array.from({ length: 8 }, async () => {
        for (let round = 0; round < 10; round += 1) {
          await queue.push('x', 0);
        }
      }),
    );
    expect(store.batches).toHaveLength(10);
  });

  test('goes back to what is durable when a write fails, and rejects what was built on it', async () => {
    const store = memoryStore();
    const queue = appendQueue('start', store);
    await queue.push('a', 'after a');
    store.failNext.push(new Error('disk full'));
    const failing = queue.push('b', 'after b');
    await new Promise(setImmediate);
    const behind = queue.push('c', 'after c');
    await expect(failing).rejects.toThrow('disk full');
    await expect(behind).rejects.toThrow('disk full');
    expect(queue.state()).toBe('after a');
    expect(store.takenBack).toBe(1);
    await queue.push('d', 'after d');
    expect(store.batches).toEqual(['a\n', 'd\n']);
  });

  test('takes nothing more when a failed write cannot be taken back', async () => {
    const store = memoryStore();
    const queue = appendQueue(0, store);
    store.failNext.push(new Error('input/output error'));
    store.stuck = new Error('input/output error');
    await expect(queue.push('a', 1)).rejects.toThrow();
    expect(queue.broken()).toMatchObject({ code: 'JOURNAL_UNWRITABLE' });
    await expect(queue.push('b', 2)).rejects.toMatchObject({ code: 'JOURNAL_UNWRITABLE' });
    expect(store.batches).toEqual([]);
  });
});
