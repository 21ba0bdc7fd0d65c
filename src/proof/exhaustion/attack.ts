import type { Plan } from '../../sandbox/plan/plan.ts';
import { attack, control, type Row } from '../finding.ts';
import type { EngineLimits } from '../../engines/engine-limits.ts';
import type { Lab, LabLimits, LabSandbox } from '../lab/lab.ts';
import type { Hand, Hold } from '../lab/hand.ts';
import { containerName } from '../lab/container-name.ts';
import { hasOwnKernel } from '../outside/gvisor-processes.ts';
import type { RestsOn } from '../probe.ts';
import { groupFigures, type GroupFigures } from './figures.ts';
import { watchedRows, whileWatched, type Bounds, type Watched } from './watched.ts';

/**
 * An attack on what sandboxes share. A sandbox made for it takes all it can get, under small limits so that this machine is in
 * no danger, while another sandbox and the gateway are watched. `prove` judges and the benchmark measures the same thing.
 */
export interface Attack {
  /** completes "tries to ..." */
  readonly title: string;
  readonly source?: string | undefined;
  readonly layers?: RestsOn | undefined;
  readonly bounds?: Bounds | undefined;
  /** why there is nothing to attack under this plan */
  readonly lacks?: ((plan: Plan) => string | undefined) | undefined;
  readonly run: (field: Field) => Promise<readonly Row[]>;
}

export type AttackTable = Readonly<Record<string, Attack>>;

export interface Field {
  readonly lab: Lab;
  readonly attacker: LabSandbox;
  readonly limits: EngineLimits;
  /** of the attacker; started anew where an attack has ended it */
  readonly hand: () => Promise<Hand>;
  /** bounds and use of the attacker's cgroup, now */
  readonly group: () => Promise<GroupFigures>;
  /** its programs run on gVisor's kernel, as this host sees it */
  readonly ownKernel: boolean;
  /** its memory has a limit that nobody waived */
  readonly isBounded: boolean;
  /** Starts the attacker anew: one on a kernel of its own ends where its memory does. */
  readonly again: () => Promise<void>;
}

const mebi = 1024 * 1024;

/** Small enough for the smallest machine, large enough for the programs that attack. */
const most: EngineLimits = {
  memoryBytes: 128 * mebi,
  cpus: 1,
  pids: 64,
  diskBytes: 64 * mebi,
  fileBytes: 64 * mebi,
  openFiles: 512,
};

export interface Besieged {
  readonly rows: readonly Row[];
  readonly watched: Watched;
}

/** `first`: what was watched at a try before this one */
export async function besiege(lab: Lab, { run, bounds }: Attack, first?: Watched): Promise<Besieged> {
  const field = await fieldOf(lab);
  const { value, watched } = await whileWatched(lab, () => run(field));
  return { rows: [...value, ...watchedRows(watched, bounds, first)], watched };
}

/** gVisor's own processes count as well, and each program of a sandbox takes several megabytes there. */
const mostWithGvisor: EngineLimits = { ...most, memoryBytes: 512 * mebi, pids: 32 };

const attackers = new WeakMap<Lab, Promise<LabSandbox>>();

async function fieldOf(lab: Lab): Promise<Field> {
  const { plan } = lab.twin.target;
  const bounds = plan?.runtime === 'runsc' ? mostWithGvisor : most;
  const limits = plan === undefined ? bounds : narrowest(plan.limits, bounds);
  const made = attackers.get(lab) ?? lab.make('attacker', { limits: written(limits) });
  attackers.set(lab, made);
  const attacker = await made;
  let first: Promise<number> | undefined;
  const firstProcess = async (): Promise<number> => (await attacker.target.processes())[0] ?? 0;
  const again = async (): Promise<void> => {
    first = undefined;
    await lab.casemate(['stop', attacker.name]);
    const { code, err } = await lab.casemate(['start', attacker.name]);
    if (code !== 0) {
      throw new Error(`the attacker does not start again: ${err.toString('utf8').trim().slice(0, 200)}`);
    }
  };
  if (plan?.runtime === 'runsc') {
    // What an attack before this one took is not given back by gVisor's kernel.
    await again();
  }
  const isBounded = plan?.waive.includes('memory-limit') !== true;
  const ownKernel = await hasOwnKernel(attacker.target);
  const group = async (): Promise<GroupFigures> =>
    await groupFigures(plan?.engine === 'oci' ? await containerName(lab, attacker) : undefined, await (first ??= firstProcess()));
  return { lab, attacker, limits, hand: () => attacker.hand(), group, ownKernel, isBounded, again };
}

function narrowest(one: EngineLimits, other: EngineLimits): EngineLimits {
  const least = (name: keyof EngineLimits): number => Math.min(one[name], other[name]);
  return {
    memoryBytes: least('memoryBytes'),
    cpus: least('cpus'),
    pids: least('pids'),
    diskBytes: least('diskBytes'),
    fileBytes: least('fileBytes'),
    openFiles: least('openFiles'),
  };
}

function written({ memoryBytes, cpus, pids, diskBytes, fileBytes, openFiles }: EngineLimits): LabLimits {
  return { memory: memoryBytes, cpus, pids, disk: diskBytes, fileSize: fileBytes, files: openFiles };
}

/** One thing that is taken: as much as there is, up to a bounded number. */
export interface TakeRow {
  /** its name in `takes.pl` or `floods.pl` */
  readonly take: string;
  /** what it is, with its unit, e.g. `MiB of memory` */
  readonly what: string;
  readonly tried: number;
  readonly bound: number;
  readonly words?: readonly string[] | undefined;
}

/** Takes it, looks while it is held, and lets go. */
export async function takeWhile<T>(
  hand: Hand,
  { take, tried, words }: TakeRow,
  look: (hold: Hold) => Promise<T>,
): Promise<readonly [Hold, T]> {
  const hold = await hand.take(take, tried, words);
  try {
    return [hold, await look(hold)];
  } finally {
    await hold.release();
  }
}

export function takenRow({ what, tried, bound }: TakeRow, { taken, stopped }: Hold): Row {
  return attack(what, {
    expected: `at most ${bound}`,
    seen: `${taken} of ${tried}${stopped === 'never' ? '' : `, then ${stopped}`}`,
    ok: taken <= bound,
  });
}

/** Something of it must be there to be taken, or a bound on it means nothing. */
export function firstRow({ what }: TakeRow, { taken, stopped }: Hold): Row {
  return control(`${what}: the first`, { expected: 'given', seen: taken > 0 ? 'given' : stopped, ok: taken > 0 });
}
