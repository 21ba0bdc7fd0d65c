/** Many rounds: every point of every step, or a choice of them by a seed. A home in which something was wrong is not used again. */
import { createRandom, type Random } from '../fuzz/random.ts';
import type { FaultAct } from './fault-plan.ts';
import { victims } from './random-kill.ts';
import { arenaOf, playRound, type Arena, type Point, type RoundReport } from './round.ts';
import type { Step } from './step.ts';
import { makeWorld, type World, type WorldOptions } from './world.ts';

/** `child`: programs the product starts; `later`: kills from outside at random times. */
export const kinds = ['kill', 'tear', 'fail', 'child', 'later'] as const;
export type Kind = (typeof kinds)[number];

export interface CampaignOptions {
  readonly steps: readonly Step[];
  readonly kinds: readonly Kind[];
  readonly seed: number;
  /** at most so many, chosen evenly from all steps; absent: every point */
  readonly rounds?: number | undefined;
  readonly onRound: (report: RoundReport) => void;
  /** the homes that rounds are played in */
  readonly world?: Pick<WorldOptions, 'under' | 'user' | 'runtime'> | undefined;
  /** Keeps the home of a round with faults, to be looked at. */
  readonly keep?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

interface Chosen {
  readonly step: Step;
  readonly point: Point;
}

/** Kills at random times, for each step and each victim. */
const timesEach = 4;

export async function campaign(options: CampaignOptions): Promise<void> {
  const random = createRandom(options.seed);
  const field = createField(options);
  try {
    const all: Chosen[] = [];
    for (const step of options.steps) {
      if (options.signal?.aborted === true) {
        return;
      }
      all.push(...(await pointsOf(step, field, { ...options, random })).map((point) => ({ step, point })));
    }
    for (const { step, point } of choose(all, options.rounds, random)) {
      if (options.signal?.aborted === true) {
        return;
      }
      const played = await field.play(step, point);
      const nearer = played.hits === 0 ? reachable(played, step, { point, random }) : undefined;
      if (nearer !== undefined) {
        await field.play(step, nearer);
      }
    }
  } finally {
    await field.close();
  }
}

type Field = ReturnType<typeof createField>;

async function pointsOf(
  step: Step,
  field: Field,
  options: Pick<CampaignOptions, 'kinds'> & { readonly random: Random },
): Promise<readonly Point[]> {
  const { actMs, trace } = await field.play(step, { kind: 'none' });
  const points = options.kinds.flatMap((kind): readonly Point[] => {
    if (kind === 'later') {
      return victims.flatMap((victim) =>
        Array.from({ length: timesEach }, (): Point => ({ kind, victim, afterMs: options.random.below(actMs + 100) })),
      );
    }
    return kind === 'child' ? [] : near(trace, step.near).flatMap(({ label, at }) => pointsAt(label, at, kind));
  });
  return options.kinds.includes('child') ? [...points, ...(await childPoints(step, field, options.random))] : points;
}

/** A step does less where much was made ahead. In place of a point that was not reached: one like it that can be. */
function reachable(
  { trace, actMs }: Played,
  { near: form }: Step,
  { point, random }: { readonly point: Point; readonly random: Random },
): Point | undefined {
  if (point.kind === 'later') {
    return point.afterMs > actMs ? { ...point, afterMs: random.below(Math.ceil(actMs)) } : undefined;
  }
  if (point.kind !== 'point' || point.at <= trace.length) {
    return undefined;
  }
  const points = near(trace, form).flatMap(({ label, at }) => pointsAt(label, at, point.act));
  const alike = points.filter((one) => isLike(one, point));
  return alike[random.below(alike.length)];
}

function isLike(one: Point, other: Point): boolean {
  return one.kind === 'point' && other.kind === 'point' && one.withCaller === other.withCaller;
}

/** Points before and after one that is meant. */
const nearby = 6;

function near(trace: readonly string[], form: RegExp | undefined): readonly { readonly label: string; readonly at: number }[] {
  const meant = trace.flatMap((label, index) => (form?.test(label) === true ? [index] : []));
  const counts = (index: number): boolean => form === undefined || meant.some((one) => Math.abs(one - index) <= nearby);
  return trace.flatMap((label, index) => (counts(index) ? [{ label, at: index + 1 }] : []));
}

function pointsAt(label: string, at: number, act: FaultAct): readonly Point[] {
  const [, name = ''] = label.split(' ');
  const fits = act === 'tear' ? /write(File)?$/i.test(name) : act !== 'fail' || name.startsWith('fs.');
  if (!fits) {
    return [];
  }
  const point = { kind: 'point', at, act } as const;
  return act === 'kill' ? [point, { ...point, withCaller: true }] : [point];
}

/** A program with threads does not do the same twice: its calls are chosen, those of others are all taken. */
const chosenCalls = 24;

async function childPoints(step: Step, field: Field, random: Random): Promise<readonly Point[]> {
  const points: Point[] = [];
  for (const fault of step.children ?? []) {
    const { calls } = await field.play(step, { kind: 'child', fault });
    const all = Array.from({ length: calls }, (_, index) => index + 1);
    const chosen =
      fault.follows === true && calls > 0 ? Array.from({ length: chosenCalls }, () => 1 + random.below(calls / 2)) : all;
    points.push(...chosen.map((at): Point => ({ kind: 'child', fault: { ...fault, at } })));
  }
  return points;
}

/** One of each step in turn, so that a short campaign has been everywhere. */
function choose(all: readonly Chosen[], rounds: number | undefined, { below }: Random): readonly Chosen[] {
  if (rounds === undefined || rounds >= all.length) {
    return all;
  }
  const byStep = Map.groupBy(all, ({ step }) => step.name);
  const chosen: Chosen[] = [];
  while (chosen.length < rounds) {
    for (const points of byStep.values()) {
      chosen.push(...(chosen.length < rounds && points.length > 0 ? points.splice(below(points.length), 1) : []));
    }
  }
  return chosen;
}

interface Played {
  readonly actMs: number;
  /** how many faults there were */
  readonly hits: number;
  /** labels of the points that were passed */
  readonly trace: readonly string[];
  /** of the program that was watched */
  readonly calls: number;
}

/** The home that rounds are played in; made anew after one with faults. */
function createField({ onRound, world: homes, keep }: CampaignOptions) {
  let arena: Arena | undefined;
  const leave = async (isKept: boolean): Promise<void> => {
    const { world } = arena ?? {};
    arena = undefined;
    await (isKept ? world?.release() : world?.remove());
  };
  return {
    async play(step: Step, point: Point): Promise<Played> {
      arena ??= arenaOf(await makeWorld(homes));
      const { world } = arena;
      const report = await playRound(arena, step, point).catch((error: unknown) => brokenRound(step, point, { world, error }));
      const isKept = report.faults.length > 0 && keep === true;
      onRound(isKept ? { ...report, faults: [...report.faults, `kept in ${world.root}`] } : report);
      const played = {
        actMs: report.actMs,
        hits: report.hits.length,
        trace: world.trace(step.role).slice(0, report.passed),
        calls: report.calls,
      };
      if (report.faults.length > 0) {
        await leave(isKept);
      }
      return played;
    },
    close: () => leave(false),
  };
}

function brokenRound(step: Step, point: Point, { world, error }: { world: World; error: unknown }): RoundReport {
  const why = error instanceof Error ? error.message : String(error);
  const faults = [`the round could not be played: ${why}`];
  return { step: step.name, point, hits: world.hits(), faults, calls: 0, passed: 0, actMs: 0, ms: 0 };
}
