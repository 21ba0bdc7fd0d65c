import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

import { attack, type Row } from '../finding.ts';
import { readProcess } from '../host-view.ts';
import type { Hold } from '../lab/hand.ts';
import { hostProcesses } from '../outside/gvisor-processes.ts';
import type { Field, TakeRow } from './attack.ts';
import type { GroupFigures } from './figures.ts';

/**
 * Attacks on a sandbox that has gVisor's kernel. What its programs take is that kernel's memory, which is limited as a whole: at
 * the limit the sandbox ends, and that counts as a limit that holds. What belongs to the host is counted on the host.
 */

const mebi = 1024 * 1024;

/** Takes while the group is looked at. An attacker that ended is started anew. */
export async function takeToTheEnd(
  field: Field,
  take: TakeRow,
  look: () => Promise<readonly number[]> = () => Promise.resolve([]),
): Promise<Ended> {
  const hand = await field.hand();
  const { value: hold, peak, most } = await whileCounted(field, hand.take(take.take, take.tried, take.words));
  if (hold === undefined) {
    await field.again();
    return { hold, peak, most, seen: [] };
  }
  const seen = await look();
  await hold.release();
  return { hold, peak, most, seen };
}

export interface Ended {
  /** `undefined`: the sandbox ended */
  readonly hold: Hold | undefined;
  /** bytes, of the group at its greatest */
  readonly peak: number;
  /** limit of the group; `undefined`: there is none */
  readonly most: number | undefined;
  /** what was looked at while it was held */
  readonly seen: readonly number[];
}

async function whileCounted(field: Field, taking: Promise<Hold>) {
  const taken = taking.then(
    (hold) => ({ hold }),
    () => ({ hold: undefined }),
  );
  let figures: GroupFigures = {};
  let peak = 0;
  for (;;) {
    // oxlint-disable-next-line no-await-in-loop -- as long as it takes
    const now = await field.group();
    figures = now.memoryMost === undefined ? figures : now;
    peak = Math.max(peak, now.memoryPeak ?? 0);
    // oxlint-disable-next-line no-await-in-loop -- as above
    const done = await Promise.race([taken, sleep(25, undefined)]);
    if (done !== undefined) {
      return { value: done.hold, peak, most: figures.memoryMost };
    }
  }
}

/** Memory that the host counts for the group, whatever it was taken for. */
export function endedRow({ what, tried }: TakeRow, { hold, peak, most }: Ended, limitBytes: number): Row {
  const taken = hold === undefined ? 'the sandbox ended' : `${hold.taken} of ${tried}`;
  const limit = most === undefined ? 'no limit' : `limit ${Math.round(most / mebi)} MiB`;
  return attack(`${what}, as the host counts the sandbox's memory`, {
    expected: `at most ${Math.floor(limitBytes / mebi)} MiB`,
    seen: `${taken}, ${Math.round(peak / mebi)} MiB, ${limit}`,
    ok: most !== undefined && most <= limitBytes && peak <= limitBytes + mebi,
    from: 'outside',
  });
}

/** Bytes in the buffers of a sandbox's sockets, which with gVisor are this host's; one number for each socket. */
export async function queuedBytes(pid: number, protocol: 'tcp' | 'udp'): Promise<readonly number[]> {
  return queuesOf(await readFile(`/proc/${pid}/net/${protocol}`, 'utf8').catch(() => ''));
}

/** Of proc(5), net/tcp and net/udp: what is to be sent and what nobody has read. */
export function queuesOf(text: string): readonly number[] {
  return [...text.matchAll(/^\s*\d+: \S+ \S+ \S+ ([\dA-F]{8}):([\dA-F]{8}) /gm)].map(
    ([, sending = '', received = '']) => Number.parseInt(sending, 16) + Number.parseInt(received, 16),
  );
}

/** Inside, gVisor's kernel lets programs name any order among themselves; on this host none of its processes may go first. */
export async function orderRows({ attacker }: Field): Promise<readonly Row[]> {
  const seen = await hostProcesses(attacker.target);
  const lines = await Promise.all(seen.map(async ({ pid }) => ({ pid, ...orderOf(await readProcess(pid, 'stat')) })));
  const before = lines.filter(({ nice, policy }) => nice < 0 || policy === 1 || policy === 2);
  return [
    attack("order of gVisor's processes on this host", {
      expected: 'none before others',
      seen:
        before.length === 0
          ? 'none before others'
          : before.map(({ pid, nice, policy }) => `${pid}: ${nice}, policy ${policy}`).join(', '),
      ok: lines.length > 0 && before.length === 0,
      from: 'outside',
    }),
  ];
}

/** Fields 19 and 41 of proc(5), stat, behind a name that may hold anything. */
export function orderOf(stat: string): { readonly nice: number; readonly policy: number } {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return { nice: Number(fields[16]), policy: Number(fields[38]) };
}
