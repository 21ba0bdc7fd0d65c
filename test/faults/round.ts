/** One round: a step is begun, something goes wrong in it, and everything is looked at from outside afterwards. */
import { join, relative } from 'node:path';

import { readLines, type Line } from './accounts.ts';
import type { ChildFault } from './child-faults.ts';
import type { FaultAct } from './fault-plan.ts';
import { look, readStandings, type Looked } from './look.ts';
import { contentsOf } from './project.ts';
import { killLater, type Victim } from './random-kill.ts';
import { box, type Step } from './step.ts';
import type { Outcome, World } from './world.ts';

/** Where it goes wrong, and how. */
export type Point =
  | { readonly kind: 'none' }
  /** at the so-many-th point of the process of the step, from 1 */
  | { readonly kind: 'point'; readonly at: number; readonly act: FaultAct; readonly withCaller?: boolean | undefined }
  /** in a program that the product starts, at one of its system calls */
  | { readonly kind: 'child'; readonly fault: ChildFault }
  /** from outside, after a time */
  | { readonly kind: 'later'; readonly victim: Victim; readonly afterMs: number };

export interface RoundReport {
  readonly step: string;
  readonly point: Point;
  /** what happened */
  readonly hits: readonly string[];
  readonly faults: readonly string[];
  /** of the program that was watched: how many system calls it made */
  /** how many points of its process the step passed while it was waited for; what follows is not hit */
  readonly passed: number;
  readonly calls: number;
  /** of the step itself */
  readonly actMs: number;
  readonly ms: number;
}

export interface Arena {
  readonly world: World;
  readonly looked: () => Looked;
  nonces: number;
}

export function arenaOf(world: World): Arena {
  const contents = contentsOf(world.project);
  const { root, project, paths, hasGroups } = world;
  return {
    world,
    nonces: 0,
    looked: () => ({ root, project, state: paths.state, daemon: world.daemonPid(), contents, hasGroups }),
  };
}

export async function playRound(arena: Arena, step: Step, point: Point): Promise<RoundReport> {
  const { world, looked } = arena;
  const startedMs = performance.now();
  arena.nonces += 1;
  const nonce = `nonce-${process.pid}-${arena.nonces}`;
  await world.run(['ls']);
  const busy = (await step.prepare?.(world)) ?? [];
  await world.handOver();
  const before = step.forgets === true ? 0 : linesOf(world).length;
  const began = await begin(world, step, point);
  const beganMs = performance.now();
  const outcomes = await step.act(world, nonce, busy);
  const actMs = Math.round(performance.now() - beganMs);
  busy.forEach(({ kill }) => kill());
  await Promise.all(busy.map(({ ended }) => ended));
  const hits = await began();
  const passed = world.trace(step.role).length;
  const calls = world.childCalls().calls.length;
  const killed = await look(looked, 'killed');
  world.disarm();
  const next = await world.run(['ls', '--json']);
  const unremoved = unremovedBy(hits, world.root);
  const settled = await look(looked, 'settled', [step.mayLeave, unremoved]);
  const linesNow = (): readonly Line[] => linesOf(world).slice(before);
  const lines = linesNow();
  const checked = (await step.check?.(world, { nonce, outcomes, lines, linesNow, hits })) ?? [];
  const after = await goOn(world);
  if (unremoved !== undefined) {
    await world.run(['daemon', 'stop', '--force']);
    await world.run(['ls']);
  }
  const atEnd = await look(looked, 'settled');
  await step.after?.(world);
  const faults = [
    ...outcomes.filter(({ late }) => late).map(({ args }) => `casemate ${args.join(' ')} hung`),
    ...killed.map((fault) => `after the fault: ${fault}`),
    ...failed(next, 'the next command'),
    ...settled.map((fault) => `after the next command: ${fault}`),
    ...checked,
    ...after,
    ...atEnd.filter((fault) => !settled.includes(fault)).map((fault) => `at the end: ${fault}`),
  ];
  const told =
    faults.length === 0
      ? []
      : outcomes.map(({ args, code, err }) => `casemate ${args.join(' ')}: ${code ?? 'killed'} ${err.trim()}`);
  const short = (texts: readonly string[]): readonly string[] => texts.map((text) => text.replaceAll(world.root, '~'));
  return {
    step: step.name,
    point,
    hits: short(hits),
    faults: short([...faults, ...told]),
    calls,
    passed,
    actMs,
    ms: Math.round(performance.now() - startedMs),
  };
}

/** Sees to it that it goes wrong; the answer says, afterwards, what did. */
async function begin(world: World, step: Step, point: Point): Promise<() => Promise<readonly string[]>> {
  switch (point.kind) {
    case 'none':
      await world.arm(step.role, {
        at: Number.MAX_SAFE_INTEGER,
        act: 'kill',
        from: step.fromStart === true ? 'start' : undefined,
      });
      return async () => [];
    case 'point': {
      const { at, act, withCaller } = point;
      const from = step.fromStart === true ? 'start' : undefined;
      await world.arm(step.role, { at, act, from, with: withCaller === true ? ['caller'] : undefined });
      return async () => world.hits();
    }
    case 'child': {
      const { fault } = point;
      world.armChild(fault);
      return async () => {
        const { calls, wasKilled } = world.childCalls();
        return wasKilled ? [`${fault.program} ${fault.call} ${fault.at ?? ''} ${calls.at(-1)?.slice(0, 80) ?? ''}`] : [];
      };
    }
    case 'later': {
      const killing = killLater(world, point.victim, point.afterMs);
      return async () => [await killing];
    }
  }
}

/** What could not be removed stays, and the next daemon takes it away at the latest: faults that are of it alone. */
function unremovedBy(hits: readonly string[], root: string): RegExp | undefined {
  const [path] = hits.flatMap((hit) => / fail fs\.(?:rm|rmdir|unlink)(?:Sync)? (.+)$/.exec(hit)?.[1] ?? []);
  const literal = path === undefined ? undefined : relative(root, path).replaceAll(/[^\w/-]/g, '\\$&');
  return literal === undefined ? undefined : new RegExp(`^file ${literal} has no owner$`);
}

/** Everything works again, under the same name; then nothing is left. */
async function goOn(world: World): Promise<readonly string[]> {
  const faults: string[] = [];
  const isThere = (): boolean => readStandings(world.paths.state).some(({ name, state }) => name === box && state !== 'gone');
  if (isThere()) {
    faults.push(...failed(await world.run(['destroy', box, '--confirm', box]), `destroy of "${box}"`));
  }
  const { code, out, err } = await world.run(['run', '--name', box, '--', 'sh', '-c', 'echo on; ls -d src']);
  if (code !== 0 || out !== 'on\nsrc\n') {
    faults.push(`a new sandbox of the same name does not work: ${code ?? 'killed'} ${err.trim()}`);
  }
  return [...faults, ...failed(await world.run(['journal', 'verify']), 'journal verify')];
}

function failed({ code, err, out }: Outcome, what: string): readonly string[] {
  return code === 0 ? [] : [`${what} failed with ${code ?? 'a kill'}: ${(err || out).trim()}`];
}

function linesOf(world: World): readonly Line[] {
  try {
    return readLines(join(world.paths.state, 'journal'));
  } catch {
    return [];
  }
}
