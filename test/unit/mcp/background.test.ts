import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';

import { createBackground, type CallersParts } from '../../../src/mcp/background.ts';
import type { ToolContext, Work } from '../../../src/mcp/tool-context.ts';

const contextOf = (signal: AbortSignal): ToolContext => ({ signal }) as ToolContext;
const context = contextOf(new AbortController().signal);
const id = 'ex-0000000000000000';

/** Ends when it is told to, and has a name when the test says so. */
function held() {
  const name = Promise.withResolvers<string>();
  const ended: unknown[] = [];
  const work: Work = async ({ signal }, named) => {
    void name.promise.then(named);
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    ended.push(signal.reason);
    throw signal.reason;
  };
  return { name, ended, work };
}

describe('work in the background', () => {
  it('counts from its first moment: many that begin at once are not more than may', async () => {
    const background = createBackground();
    const works = Array.from({ length: 25 }, () => held());
    const starts = works.map(({ work }, index) => background.start('command', context, work).then(() => index));
    const refused = (await Promise.allSettled(starts.slice(20))).map((start) => start.status);
    expect(refused).toEqual(Array.from({ length: 5 }, () => 'rejected'));
    works.forEach(({ name }, index) => name.resolve(`ex-${index}`));
    expect(await Promise.all(starts.slice(0, 20))).toHaveLength(20);
    background.close();
    await expect.poll(() => works.filter(({ ended }) => ended.length === 1).length).toBe(20);
  });

  it('is bounded for all connections of a caller together, and free again when one ends', async () => {
    const parts: CallersParts = new Set();
    const connections = Array.from({ length: 4 }, () => createBackground(parts));
    const begin = async (index: number) => {
      const { name, work } = held();
      name.resolve(`ex-${index}`);
      return await connections[index % 4]?.start('command', context, work);
    };
    await Promise.all(Array.from({ length: 64 }, (_, index) => begin(index)));
    await expect(begin(64)).rejects.toThrow('64 commands of this caller are running in the background already');
    connections[1]?.close();
    expect(await begin(64)).toBe('ex-64');
    connections.forEach(({ close }) => close());
  });

  it('what it keeps is bounded for all connections of a caller together', async () => {
    const parts: CallersParts = new Set();
    const connections = Array.from({ length: 4 }, () => createBackground(parts));
    const text = 'x'.repeat(5 * 1024 * 1024);
    for (const connection of connections) {
      for (const name of ['ex-0', 'ex-1', 'ex-2']) {
        await connection.start('command', context, async (_, named) => {
          named(name);
          return { text };
        });
        await connection.wait(name, 1000, context.signal);
      }
    }
    const kept = await Promise.allSettled(
      connections.flatMap((one) => ['ex-0', 'ex-1', 'ex-2'].map((name) => one.wait(name, 1000, context.signal))),
    );
    // Six of them fit; the last connection keeps its newest.
    expect(kept.filter(({ status }) => status === 'fulfilled').length).toBeLessThanOrEqual(8);
    expect(kept.at(-1)?.status).toBe('fulfilled');
    connections.forEach(({ close }) => close());
  });

  it('ends with its caller also before it has a name, and nothing begins after that', async () => {
    const background = createBackground();
    const { ended, work } = held();
    const start = background.start('command', context, work);
    background.close();
    await expect(start).rejects.toThrow('its caller has gone');
    expect(ended).toHaveLength(1);
    await expect(background.start('command', context, held().work)).rejects.toThrow('its caller has gone');
  });

  it('ends with the call that started it while nobody knows its name, and not after', async () => {
    const background = createBackground();
    const [early, late] = [new AbortController(), new AbortController()];
    const [first, second] = [held(), held()];
    const start = background.start('command', contextOf(early.signal), first.work);
    early.abort(new Error('cancelled'));
    await expect(start).rejects.toThrow('cancelled');
    second.name.resolve(id);
    expect(await background.start('command', contextOf(late.signal), second.work)).toBe(id);
    late.abort(new Error('cancelled'));
    expect(await background.wait(id, 0, context.signal)).toBeUndefined();
    expect(second.ended).toEqual([]);
  });

  it('is not waited for by a call that was cancelled before it', async () => {
    const background = createBackground();
    const { name, work } = held();
    name.resolve(id);
    await background.start('command', context, work);
    const waited = background.wait(id, 600_000, AbortSignal.abort());
    expect(await Promise.race([waited.then(() => 'over'), sleep(5000, 'still waiting', { ref: false })])).toBe('over');
  });

  it('keeps results of so many characters in all, the newest for sure', async () => {
    const background = createBackground();
    const start = async (name: string, length: number): Promise<void> => {
      await background.start('command', context, async (_, named) => {
        named(name);
        return { stdout: 'x'.repeat(length) };
      });
      await background.wait(name, 20_000, context.signal);
    };
    const isKept = async (name: string): Promise<boolean> =>
      await background.wait(name, 0, context.signal).then(
        () => true,
        () => false,
      );
    for (const name of ['a', 'b', 'c', 'd']) {
      await start(name, 5 * 1024 * 1024);
    }
    expect(await Promise.all(['a', 'b', 'c', 'd'].map(isKept))).toEqual([false, true, true, true]);
    await start('e', 17 * 1024 * 1024);
    expect(await Promise.all(['b', 'c', 'd', 'e'].map(isKept))).toEqual([false, false, false, true]);
  });
});
