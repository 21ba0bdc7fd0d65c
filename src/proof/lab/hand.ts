import { readFile } from 'node:fs/promises';
import type { Readable, Writable } from 'node:stream';
import { createInterface } from 'node:readline';

import { dataFile } from '../../system/data-file.ts';

/**
 * The host's end of `exhaustion/hand.pl`: takes as much of one thing as a sandbox gives, and holds it. Each take is a process of
 * its own inside, so several can be held at once; all of them end with the hand.
 */
export interface Hand {
  /** Resolves when no more is to be had, or the work is done; what was taken is held. */
  readonly take: (name: string, most: number, words?: readonly string[]) => Promise<Hold>;
  readonly hasEnded: () => boolean;
  readonly close: () => void;
}

export interface Hold {
  /** how much there was, in units of the take */
  readonly taken: number;
  /** errno, `never`, `time`, or `killed by signal N` */
  readonly stopped: string;
  /** whatever else the take counted */
  readonly counts: Readonly<Record<string, number | string>>;
  readonly release: () => Promise<void>;
}

const parts = ['inside/ask.pl', 'exhaustion/hand.pl', 'exhaustion/takes.pl', 'exhaustion/floods.pl'] as const;

export async function handCommand(): Promise<readonly string[]> {
  const texts = await Promise.all(parts.map((name) => readFile(dataFile(`proof/${name}`), 'utf8')));
  return ['perl', '-e', [...texts, 'hand();'].join('\n').replaceAll(/^\s*#.*\n/gm, '')];
}

export function createHand(from: Readable, to: Writable): Hand {
  const waiting = new Map<string, PromiseWithResolvers<Answer>>();
  let ended = false;
  let next = 0;
  const ask = async (id: string, words: string): Promise<Answer> => {
    const answer = Promise.withResolvers<Answer>();
    if (ended) {
      throw new Error('the hand inside has ended');
    }
    waiting.set(id, answer);
    to.write(`${id} ${words}\n`);
    return await answer.promise;
  };
  createInterface({ input: from }).on('line', (line) => {
    const [, id = '', json = ''] = /^(\d+) (\{.*)$/.exec(line.slice(0, 64 * 1024)) ?? [];
    waiting.get(id)?.resolve(readAnswer(json));
  });
  from.on('close', () => {
    ended = true;
    waiting.forEach(({ reject }) => reject(new Error('the hand inside has ended')));
  });
  to.on('error', () => undefined);
  return {
    async take(name, most, words = []) {
      next += 1;
      const id = String(next);
      const { taken, stopped, fault, ...counts } = await ask(id, ['take', name, most, ...words].join(' '));
      if (fault !== undefined) {
        throw new Error(`nothing was taken of ${name}: ${fault}`);
      }
      const release = async (): Promise<void> => void (ended || (await ask(id, 'drop')));
      return { taken: Number(taken ?? 0), stopped: String(stopped ?? 'never'), counts, release };
    },
    hasEnded: () => ended,
    close: () => void to.end(),
  };
}

type Answer = Readonly<Record<string, number | string>>;

/** Written inside: numbers and texts of a flat object, anything else is left out. */
function readAnswer(json: string): Answer {
  try {
    const value: unknown = JSON.parse(json);
    const entries: readonly [string, unknown][] = typeof value === 'object' && value !== null ? Object.entries(value) : [];
    return Object.fromEntries(
      entries.filter((entry): entry is [string, number | string] => ['number', 'string'].includes(typeof entry[1])),
    );
  } catch {
    return { fault: 'the answer is malformed' };
  }
}
