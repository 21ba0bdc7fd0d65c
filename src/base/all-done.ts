/**
 * Runs steps side by side like `Promise.all`, but settles only after every one of them has ended, so that a caller who then
 * undoes their work finds none still running. If several fail, it throws the fault of the first step in order.
 */
export async function allDone<T extends readonly unknown[] | []>(steps: T): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  await Promise.allSettled(steps);
  return await Promise.all(steps);
}
