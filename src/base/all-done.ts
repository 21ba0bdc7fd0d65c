/**
 * The results of steps that run side by side, like `Promise.all`, but only when every one of them has ended: whoever
 * then takes back what they made meets none at work. Of several faults the first in the order of the steps is thrown.
 */
export async function allDone<T extends readonly unknown[] | []>(steps: T): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  await Promise.allSettled(steps);
  return await Promise.all(steps);
}
