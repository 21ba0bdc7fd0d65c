import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';

import { stepProgress } from '../../../src/cli/printing/step-progress.ts';
import { environmentOf } from '../../../src/system/environment.ts';

/** A stream that keeps what is written, as a terminal of that width or as a pipe. */
function streamOf(columns?: number) {
  const written: string[] = [];
  const stream = { isTTY: columns !== undefined, columns, write: (text: string) => written.push(text) > 0 };
  return { written, stderr: Object.assign(Object.create(process.stderr), stream) as NodeJS.WriteStream };
}

async function longStep(stderr: NodeJS.WriteStream, written: readonly string[], TERM: string): Promise<string> {
  const progress = stepProgress({ stderr, env: environmentOf({ TERM }) }, 5);
  progress.line('installing 183 Debian packages, one by one');
  while (written.length < 4) {
    await sleep(5);
  }
  progress.stop();
  return written.join('').replaceAll(/\u001B\[\d+m/g, ''); // colours, which FORCE_COLOR turns on anywhere
}

test('a step that takes long says so in a log, without a control character', async () => {
  for (const { written, stderr } of [streamOf(), streamOf(80)]) {
    const text = await longStep(stderr, written, 'dumb');
    expect(text).toMatch(/^ +[\d.]+ \w+ {2}installing 183 .*\n(?: +[\d.]+ \w+ {2}still installing 183 .*\n)+$/);
  }
});

test('at a terminal it is drawn over in one line, however narrow, and stays whole when it is done', async () => {
  const { written, stderr } = streamOf(40);
  const lines = (await longStep(stderr, written, 'xterm')).split('\r\u001B[K').slice(1);
  expect(Math.max(...lines.slice(0, -1).map((line) => line.length))).toBeLessThan(40);
  expect(lines.at(-1)).toMatch(/installing 183 Debian packages, one by one\n$/);
});
