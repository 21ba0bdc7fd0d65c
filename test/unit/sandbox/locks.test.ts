import { describe, expect, it } from 'vitest';

import { createLocks } from '../../../src/sandbox/life/locks.ts';

describe('locks', () => {
  it('run work of one key in order and of different keys side by side', async () => {
    const locks = createLocks();
    const events: string[] = [];
    const gate = Promise.withResolvers<void>();
    const first = locks.run('a', async () => {
      await gate.promise;
      events.push('a1');
    });
    const second = locks.run('a', async () => void events.push('a2'));
    await locks.run('b', async () => void events.push('b'));
    gate.resolve();
    await Promise.all([first, second]);
    expect(events).toEqual(['b', 'a1', 'a2']);
  });

  it('go on after a failure, which reaches its own caller only', async () => {
    const locks = createLocks();
    const failed = locks.run('a', async () => await Promise.reject(new Error('no')));
    const after = locks.run('a', async () => 'yes');
    await expect(failed).rejects.toThrow('no');
    await expect(after).resolves.toBe('yes');
  });
});
