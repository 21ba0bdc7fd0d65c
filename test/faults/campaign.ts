/** Many rounds: every point of every step, or a choice of them by a seed. A home in which something was wrong is not used again. */
import { createRandom } from '../fuzz/random.ts';
import type { FaultAct } from './fault-plan.ts';
import { arenaOf, playRound, type Arena, type Point, type RoundReport } from './round.ts';
import type { Step } from './step.ts';
import { makeWorld, type World } from './world.ts';

export interface CampaignOptions {
  readonly steps: readonly Step[];
  readonly acts: readonly FaultAct[];
  readonly seed: number;
  /** at most so many, chosen evenly from all steps; absent: every point */
  readonly rounds?: number | undefined;
  readonly onRound: (report: RoundReport) => void;
  readonly under?: string | undefined;
  /** Keeps the home of a round with faults, to be looked at. */
  readonly keep?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

interface Chosen {
  readonly step: Step;
  readonly point: Point;
}

export async function campaign(options: CampaignOptions): Promise<void> {
  const random = createRandom(options.seed);
  const field = createField(options);
  try {
    const all: Chosen[] = [];
    for (const step of options.steps) {
      const labels = await field.count(step);
      all.push(...pointsOf(labels, options.acts).map((point) => ({ step, point })));
    }
    for (const { step, point } of choose(all, options.rounds, random.below)) {
      if (options.signal?.aborted === true) {
        return;
      }
      await field.play(step, point);
    }
  } finally {
    await field.close();
  }
}

/** Every point with every act that fits it. */
export function pointsOf(labels: readonly string[], acts: readonly FaultAct[]): readonly Point[] {
  return labels.flatMap((label, index) =>
    acts
      .filter((act) => fits(label, act))
      .flatMap((act) => {
        const point = { at: index + 1, act };
        return act === 'kill' ? [point, { ...point, withCaller: true }] : [point];
      }),
  );
}

function fits(label: string, act: FaultAct): boolean {
  const [, name = ''] = label.split(' ');
  if (act === 'tear') {
    return /write(File)?$/i.test(name);
  }
  return act === 'kill' || act === 'fill' || act === 'clock' || name.startsWith('fs.');
}

function choose(all: readonly Chosen[], rounds: number | undefined, below: (limit: number) => number): readonly Chosen[] {
  if (rounds === undefined || rounds >= all.length) {
    return all;
  }
  // One of each step in turn, so that a short campaign has been everywhere.
  const byStep = Map.groupBy(all, ({ step }) => step.name);
  const chosen: Chosen[] = [];
  while (chosen.length < rounds) {
    for (const points of byStep.values()) {
      chosen.push(...(chosen.length < rounds && points.length > 0 ? points.splice(below(points.length), 1) : []));
    }
  }
  return chosen;
}

/** The home that rounds are played in; made anew after one with faults. */
function createField({ onRound, under, keep }: CampaignOptions) {
  let arena: Arena | undefined;
  const ready = async (): Promise<Arena> => (arena ??= arenaOf(await makeWorld({ under })));
  const leave = async (isKept: boolean): Promise<void> => {
    const { world } = arena ?? {};
    arena = undefined;
    await (isKept ? world?.release() : world?.remove());
  };
  const play = async (step: Step, point: Point): Promise<readonly string[]> => {
    const { world } = await ready();
    const report = await playRound(await ready(), step, point).catch((error: unknown) =>
      brokenRound(step, point, { world, error }),
    );
    onRound(
      report.faults.length > 0 && keep === true ? { ...report, faults: [...report.faults, `kept in ${world.root}`] } : report,
    );
    const labels = world.trace(step.role);
    if (report.faults.length > 0) {
      await leave(keep === true);
    }
    return labels;
  };
  return {
    play,
    /** A round in which nothing goes wrong: what there is to go wrong. */
    count: (step: Step) => play(step, { at: Number.MAX_SAFE_INTEGER, act: 'kill' }),
    close: () => leave(false),
  };
}

function brokenRound(step: Step, point: Point, { world, error }: { world: World; error: unknown }): RoundReport {
  const why = error instanceof Error ? error.message : String(error);
  return { step: step.name, point, hits: world.hits(), faults: [`the round could not be played: ${why}`], ms: 0 };
}
