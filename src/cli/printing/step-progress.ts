import { formatDuration } from '../../base/units.ts';
import { visible } from '../../base/text.ts';
import type { Progress } from '../../images/image.ts';
import type { CommandContext } from '../command.ts';
import { dim, drawsOver } from './output.ts';

/**
 * Reports the steps of long work on standard error, each with the time since the start. On a terminal the time of the current
 * step counts up.
 */
export interface StepProgress {
  readonly line: Progress;
  readonly stop: () => void;
}

const frameMs = 1000;
const heartbeatMs = 15_000;

export function stepProgress(context: Pick<CommandContext, 'stderr' | 'env'>, beatMs?: number): StepProgress {
  const { stderr } = context;
  const inPlace = drawsOver(context);
  const startedMs = performance.now();
  let current: string | undefined;
  const stamp = (): string => dim(stderr, formatDuration(Math.floor((performance.now() - startedMs) / 100) * 100).padStart(9));
  const beat = (): void => {
    if (current !== undefined) {
      stderr.write(inPlace ? `\r\x1b[K${stamp()}  ${oneLine(current, stderr.columns)} ...` : `${stamp()}  still ${current}\n`);
    }
  };
  const timer = setInterval(beat, beatMs ?? (inPlace ? frameMs : heartbeatMs));
  timer.unref();
  const finish = (): void => {
    if (inPlace && current !== undefined) {
      stderr.write(`\r\x1b[K${stamp()}  ${current}\n`);
    }
    current = undefined;
  };
  return {
    line(text) {
      finish();
      current = visible(text);
      if (inPlace) {
        beat();
      } else {
        stderr.write(`${stamp()}  ${current}\n`);
      }
    },
    stop() {
      clearInterval(timer);
      finish();
    },
  };
}

/** What is drawn over has to fit into one line beside the time and the dots: a line that wraps is left behind in part. */
function oneLine(text: string, columns = 80): string {
  return text.slice(0, Math.max(10, columns - 16));
}
