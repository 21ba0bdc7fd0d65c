import { formatDuration } from '../../base/units.ts';
import { visible } from '../../base/text.ts';
import type { Progress } from '../../images/image.ts';
import { dim } from './output.ts';

/** Steps of long work on standard error, each with the time since the start. On a terminal the step under way counts on. */
export interface StepProgress {
  readonly line: Progress;
  readonly stop: () => void;
}

const frameMs = 1000;

export function stepProgress(stream: NodeJS.WriteStream): StepProgress {
  const startedMs = performance.now();
  let current: string | undefined;
  const stamp = (): string => dim(stream, formatDuration(Math.floor((performance.now() - startedMs) / 100) * 100).padStart(9));
  const render = (): void => {
    if (current !== undefined) {
      stream.write(`\r\x1b[K${stamp()}  ${current} ...`);
    }
  };
  const timer = stream.isTTY ? setInterval(render, frameMs) : undefined;
  timer?.unref();
  const finish = (): void => {
    if (stream.isTTY && current !== undefined) {
      stream.write(`\r\x1b[K${stamp()}  ${current}\n`);
    }
    current = undefined;
  };
  return {
    line(text) {
      finish();
      current = visible(text);
      if (stream.isTTY) {
        render();
      } else {
        stream.write(`${stamp()}  ${current}\n`);
      }
    },
    stop() {
      clearInterval(timer);
      finish();
    },
  };
}
