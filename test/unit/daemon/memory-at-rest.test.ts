import { expect, test } from 'vitest';

const MiB = 1024 * 1024;

test('what the daemon loads at its start makes no large buffers: they would stay for its whole life', async () => {
  const made = (): number => process.memoryUsage().arrayBuffers;
  const before = made();
  await import('../../../src/daemon/calls.ts');
  expect((made() - before) / MiB).toBeLessThan(4);
});
