import { memoryUsage } from 'node:process';

/** How many bytes more this process uses, outside and on the heap, after so many pieces of one byte, each with memory of its own. */
export function heldBytes(count: number, take: (piece: Buffer) => void): number {
  const used = (): number => {
    const { heapUsed, external } = memoryUsage();
    return heapUsed + external;
  };
  const before = used();
  for (let index = 0; index < count; index += 1) {
    take(Buffer.alloc(1, 'x'));
  }
  return used() - before;
}
