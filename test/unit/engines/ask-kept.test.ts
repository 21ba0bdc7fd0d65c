import { describe, expect, it } from 'vitest';

import { again, onceAlive } from '../../../src/engines/docker/kernel/ask-kept.ts';
import { Lost } from '../../../src/engines/docker/kernel/questions.ts';

/** Made in turn; of each, which questions it is lost at. What was asked is noted, whether or not it was answered. */
function keptOf(...lostAt: readonly string[]) {
  const asked: string[] = [];
  let number = 0;
  const make = async () => {
    const at = lostAt[number];
    number += 1;
    const name = String(number);
    return async (question: string): Promise<string> => {
      asked.push(`${name} ${question}`);
      if (question === at) {
        throw new Lost('gone');
      }
      return `${question} by ${name}`;
    };
  };
  let present: ReturnType<typeof make> | undefined;
  const get = async () => (present ??= make());
  return { asked, kept: { get, lose: () => void (present = undefined) } };
}

const signal = {
  look: (ask: (question: string) => Promise<string>) => ask('hello'),
  work: (ask: (question: string) => Promise<string>) => ask('signal'),
};

describe('something that is kept', () => {
  it('is made anew where it was lost, and asked again', async () => {
    const { asked, kept } = keptOf('read');
    expect(await again(kept, (ask) => ask('read'))).toBe('read by 2');
    expect(asked).toEqual(['1 read', '2 read']);
  });

  it('is made anew once', async () => {
    const { asked, kept } = keptOf('read', 'read');
    await expect(again(kept, (ask) => ask('read'))).rejects.toThrow(Lost);
    expect(asked).toEqual(['1 read', '2 read']);
  });

  it('is made anew before it is asked for what must not be done twice', async () => {
    const { asked, kept } = keptOf('hello');
    expect(await onceAlive(kept, signal)).toBe('signal by 2');
    expect(asked).toEqual(['1 hello', '2 hello', '2 signal']);
  });

  it('is not asked again for what must not be done twice', async () => {
    const { asked, kept } = keptOf('signal');
    await expect(onceAlive(kept, signal)).rejects.toThrow(Lost);
    expect(asked).toEqual(['1 hello', '1 signal']);
  });
});
