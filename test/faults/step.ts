/** One thing that a person does with the product, to be cut off at every point of it. */
import type { Line } from './accounts.ts';
import type { ChildFault } from './child-faults.ts';
import { readStandings } from './look.ts';
import type { Outcome, Role, Seen, Started, World } from './world.ts';

export interface Step {
  readonly name: string;
  /** the process whose points are counted */
  readonly role: Role;
  /** its points are counted from its very start: a daemon that has yet to come up */
  readonly fromStart?: boolean | undefined;
  /** It begins with a home in which nothing has run. */
  readonly forgets?: boolean | undefined;
  /** Only points near ones of this form count: the rest of it is another step's. */
  readonly near?: RegExp | undefined;
  /** programs that it starts and that may die */
  readonly children?: readonly ChildFault[] | undefined;
  /** May leave commands running, which `act` gets and which are killed at the latest when it has ended. */
  readonly prepare?: ((world: World) => Promise<readonly Started[] | void>) | undefined;
  /** Faults of what is left on purpose until `check` has seen to it that it goes. */
  readonly mayLeave?: RegExp | undefined;
  readonly act: (world: World, nonce: string, busy: readonly Started[]) => Promise<readonly Outcome[]>;
  /** What is wrong, once the next daemon has settled everything. */
  readonly check?: ((world: World, done: Done) => readonly string[] | Promise<readonly string[]>) | undefined;
  /** Puts the home in order for other steps, when all has been looked at. */
  readonly after?: ((world: World) => Promise<void>) | undefined;
}

export interface Done {
  readonly nonce: string;
  readonly outcomes: readonly Outcome[];
  /** records since the step began */
  readonly lines: readonly Line[];
  /** the same, with those of what was waited for meanwhile */
  readonly linesNow: () => readonly Line[];
  /** what went wrong, in words */
  readonly hits: readonly string[];
}

/** The name that all steps use again and again. */
export const box = 'box';

/** A step before the one under test must succeed, or nothing is tested. */
export async function must(world: World, args: readonly string[], options?: Parameters<World['run']>[1]): Promise<Outcome> {
  const outcome = await world.run(args, options);
  if (outcome.code !== 0) {
    throw new Error(`casemate ${args.join(' ')}: ${outcome.code ?? 'killed'}: ${outcome.err || outcome.out}`);
  }
  return outcome;
}

export interface Claim {
  readonly action: string;
  readonly subject?: string | undefined;
  /** it was reported to the caller */
  readonly isReported: boolean;
}

/**
 * What was reported has one record, what was not has at most one. It is written before the thing is done: one that could not
 * be done has a second one, which says so.
 */
export function claimFaults(lines: readonly Line[], claims: readonly Claim[]): readonly string[] {
  return claims.flatMap(({ action, subject, isReported }) => {
    const own = lines.filter((line) => line.action === action && (subject === undefined || line.subject === subject));
    const count = own.length;
    const isTakenBack = count === 2 && own[1]?.outcome === 'failed';
    const isRight = count === 1 || (!isReported && (count === 0 || isTakenBack));
    return isRight ? [] : [`${action} ${subject ?? ''} was ${isReported ? '' : 'not '}reported and has ${count} records`];
  });
}

/** What a request of the sandbox carried as authorization when it arrived; `undefined`: it did not. */
export async function fetched(world: World, host: string, nonce: string): Promise<Seen | undefined> {
  const ask = (): Promise<Outcome> => world.run(['exec', box, '--', 'curl', '-sS', '-m', '20', `https://${host}/n/${nonce}`]);
  await ask();
  if (!readStandings(world.paths.state).some(({ name, state }) => name === box && state === 'running')) {
    // Its first process may be what was killed, which is noticed now at the latest.
    await world.run(['start', box]);
    await ask();
  }
  return world.seen.find(({ path }) => path === `/n/${nonce}`);
}

export const succeeded = (outcome: Outcome | undefined): boolean => outcome?.code === 0;
