/** One round: a step is begun, something goes wrong at one point of it, and everything is looked at from outside afterwards. */
import { join } from 'node:path';

import { readLines, type Line } from './accounts.ts';
import type { FaultAct } from './fault-plan.ts';
import { look, readStandings, type Looked } from './look.ts';
import { contentsOf } from './project.ts';
import { box, type Step } from './step.ts';
import type { Outcome, World } from './world.ts';

export interface Point {
  /** from 1 */
  readonly at: number;
  readonly act: FaultAct;
  /** the caller is killed in the same moment */
  readonly withCaller?: boolean | undefined;
}

export interface RoundReport {
  readonly step: string;
  readonly point: Point;
  /** what the process was about to do */
  readonly hits: readonly string[];
  readonly faults: readonly string[];
  readonly ms: number;
}

export interface Arena {
  readonly world: World;
  readonly looked: () => Looked;
  nonces: number;
}

export function arenaOf(world: World): Arena {
  const contents = contentsOf(world.project);
  const { root, project, paths } = world;
  return { world, nonces: 0, looked: () => ({ root, project, state: paths.state, daemon: world.daemonPid(), contents }) };
}

export async function playRound(arena: Arena, step: Step, point: Point): Promise<RoundReport> {
  const { world, looked } = arena;
  const startedMs = performance.now();
  arena.nonces += 1;
  const nonce = `nonce-${process.pid}-${arena.nonces}`;
  const report = (hits: readonly string[], faults: readonly string[]): RoundReport => ({
    step: step.name,
    point,
    hits: hits.map((hit) => hit.replaceAll(world.root, '~')),
    faults: faults.map((fault) => fault.replaceAll(world.root, '~')),
    ms: Math.round(performance.now() - startedMs),
  });
  await world.run(['ls']);
  await step.prepare?.(world);
  const before = linesOf(world).length;
  await world.arm(step.role, {
    at: point.at,
    act: point.act,
    from: step.fromStart === true ? 'start' : undefined,
    with: point.withCaller === true ? ['caller'] : undefined,
    lasting: undefined,
  });
  const outcomes = await step.act(world, nonce);
  const hits = world.hits();
  const killed = await look(looked, 'killed');
  world.disarm();
  const next = await world.run(['ls', '--json']);
  const settled = await look(looked, 'settled');
  const lines = linesOf(world).slice(step.name === 'daemon-first-start' ? 0 : before);
  const checked = (await step.check?.(world, { nonce, outcomes, lines })) ?? [];
  const after = await goOn(world);
  const atEnd = await look(looked, 'settled');
  return report(hits, [
    ...outcomes.filter(({ late }) => late).map(({ args }) => `casemate ${args.join(' ')} hung`),
    ...killed.map((fault) => `after the fault: ${fault}`),
    ...failed(next, 'the next command'),
    ...settled.map((fault) => `after the next command: ${fault}`),
    ...checked,
    ...after,
    ...atEnd.filter((fault) => !settled.includes(fault)).map((fault) => `at the end: ${fault}`),
  ]);
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
