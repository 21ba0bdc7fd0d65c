import { Lost } from './questions.ts';

/** Work with something that is made when needed, kept, and made again if it was lost. */
export interface Kept<Made> {
  readonly get: () => Promise<Made>;
  /** that one is gone */
  readonly lose: (made: Promise<Made>) => void;
}

/** What was lost on the way is done again, once: it may have been carried out before, and is done twice then. */
export async function again<Made, T>({ get, lose }: Kept<Made>, work: (made: Made) => Promise<T>): Promise<T> {
  const first = get();
  try {
    return await work(await first);
  } catch (error) {
    if (!(error instanceof Lost)) {
      throw error;
    }
    lose(first);
    return work(await get());
  }
}

/**
 * For what must not be done twice: with one that has just answered to `look`, and not again. Throws `Lost` where it was lost in
 * that moment, and nobody knows whether it was done.
 */
export async function onceAlive<Made, T>(
  kept: Kept<Made>,
  { look, work }: { readonly look: (made: Made) => Promise<unknown>; readonly work: (made: Made) => Promise<T> },
): Promise<T> {
  const alive = await again(kept, async (made) => {
    await look(made);
    return made;
  });
  return work(alive);
}
