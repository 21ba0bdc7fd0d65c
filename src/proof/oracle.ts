import { setTimeout as sleep } from 'node:timers/promises';

import { attack, control, type Row } from './finding.ts';
import type { Lab } from './lab/lab.ts';
import type { Arrival, World } from './lab/world.ts';
import type { JournalRecord } from '../journal/record.ts';
import { patience } from './patience.ts';

/** What the outside of a lab saw since a moment: the only witness that counts for what left a sandbox. */
export interface Oracle {
  /** all that reached a server, in order */
  readonly arrived: () => readonly Arrival[];
  /** of it what bears a mark: in its name, target, headers or content */
  readonly with: (mark: string) => readonly Arrival[];
  readonly requests: () => readonly Arrival[];
  /** names that were asked to be resolved */
  readonly asked: () => readonly string[];
}

export function watch(world: World): Oracle {
  const seen = world.seen.length;
  const asked = world.asked.length;
  const arrived = (): readonly Arrival[] => world.seen.slice(seen);
  return {
    arrived,
    with: (mark) => arrived().filter((arrival) => textOf(arrival).toLowerCase().includes(mark.toLowerCase())),
    requests: () => arrived().filter(({ kind }) => kind === 'request'),
    asked: () => world.asked.slice(asked),
  };
}

function textOf({ host, method, url, headers, body, trailers }: Arrival): string {
  return JSON.stringify([host, method, url, headers, body, trailers]);
}

/** As long as something that is on its way takes to arrive on one machine, and more; longer where that is busy. */
export async function settle(ms = 150): Promise<void> {
  await sleep(ms * patience());
}

/** Nothing with this mark may have arrived. */
export function unseenRow(what: string, found: readonly Arrival[]): Row {
  return attack(what, {
    expected: 'nothing outside',
    seen: found.length === 0 ? 'nothing outside' : found.map(arrivalText).join('; ').slice(0, 300),
    ok: found.length === 0,
    from: 'outside',
  });
}

/** The nearest legal thing: it must have arrived, or what did not arrive means nothing. */
export function seenRow(what: string, found: readonly Arrival[]): Row {
  return control(what, {
    expected: 'arrives outside',
    seen: found.length === 0 ? 'nothing outside' : arrivalText(found[0]),
    ok: found.length > 0,
    from: 'outside',
  });
}

export function arrivalText(arrival: Arrival | undefined): string {
  if (arrival === undefined) {
    return 'nothing';
  }
  const { server, kind, host, method, url } = arrival;
  return [kind, method, url, host === undefined ? undefined : `for ${host}`, `at ${server}`]
    .filter((word) => word !== undefined)
    .join(' ');
}

/** Records of the lab's journal from now on; what is told of may take a moment to be written, floods are summed up each second. */
export async function watchJournal({ records }: Lab): Promise<() => Promise<readonly JournalRecord[]>> {
  const before = (await records()).length;
  return async () => (await records()).slice(before);
}

/** How many effects some records stand for: of a flood, many are counted in one. */
export function effectsIn(records: readonly JournalRecord[]): number {
  return records.reduce((sum, { detail }) => sum + (typeof detail?.['repeated'] === 'number' ? detail['repeated'] : 1), 0);
}
