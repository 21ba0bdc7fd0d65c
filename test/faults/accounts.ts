/** Whether the journal tells of each thing once: the lives of sandboxes and commands in it, one by one. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Line {
  readonly seq: number;
  readonly time: string;
  readonly action: string;
  readonly subject: string;
  readonly outcome: string;
  readonly sandbox?: string;
  readonly detail?: Readonly<Record<string, string | number | boolean>>;
}

/** What stands in the state file about a sandbox; `gone` where it is no more. */
export interface Standing {
  readonly id: string;
  readonly name: string;
  readonly state: string;
}

export function readLines(journal: string): readonly Line[] {
  return readdirSync(journal)
    .filter((name) => /^journal-\d+\.jsonl$/.test(name))
    .toSorted()
    .flatMap((name) => readFileSync(join(journal, name), 'utf8').split('\n'))
    .filter((text) => text !== '')
    .map((text) => JSON.parse(text) as Line);
}

/** What is wrong with the account that the lines give of these sandboxes, when nothing is under way. */
export function accountFaults(lines: readonly Line[], standings: readonly Standing[]): readonly string[] {
  const ids = new Set(lines.flatMap(({ sandbox }) => sandbox ?? []));
  const states = new Map(standings.map(({ id, state }) => [id, state]));
  return [
    ...[...ids].flatMap((id) => lifeFaults(id, lines, states.get(id))),
    ...standings
      .filter(({ id, state }) => state !== 'gone' && !ids.has(id))
      .map(({ id, state }) => `${id} is ${state} and in no record`),
    ...pairFaults(lines, states),
    ...gapFaults(lines),
  ];
}

/** Where a life may go from where it is. */
const ways: Readonly<Record<string, readonly string[]>> = {
  '': ['create'],
  create: ['start', 'destroy'],
  start: ['adopt', 'start-failed', 'stop', 'destroy'],
  adopt: ['adopt', 'stop', 'destroy'],
  'start-failed': ['start', 'stop', 'destroy'],
  stop: ['start', 'destroy'],
  destroy: [],
};

/** States in which a sandbox may be found after its last record. */
const ends: Readonly<Record<string, readonly string[]>> = {
  create: ['created'],
  start: ['running'],
  adopt: ['running'],
  'start-failed': ['created', 'stopped'],
  stop: ['stopped'],
  destroy: ['gone'],
};

function lifeFaults(id: string, lines: readonly Line[], state: string | undefined): readonly string[] {
  const life = lines.filter((line) => line.sandbox === id && line.action.startsWith('sandbox.'));
  const faults: string[] = [];
  let at = '';
  for (const { action, outcome, seq } of life) {
    const next = action.slice('sandbox.'.length);
    if (ways[at]?.includes(next) !== true) {
      faults.push(`${id}: record ${seq} says ${next} (${outcome}) after ${at === '' ? 'nothing' : at}`);
    }
    at = next;
  }
  if (ends[at]?.includes(state ?? 'gone') !== true) {
    faults.push(`${id} is ${state ?? 'unknown'}, but its last record says ${at === '' ? 'nothing' : at}`);
  }
  return faults;
}

/** Each command that began has ended, once; what was opened and had no end was cut off by a kill, and never ended twice. */
function pairFaults(lines: readonly Line[], states: ReadonlyMap<string, string>): readonly string[] {
  const faults: string[] = [];
  const pair = (begin: string, end: string, key: (line: Line) => string): void => {
    const begun = countBy(lines.filter(({ action }) => action === begin).map(key));
    const ended = countBy(lines.filter(({ action }) => action === end).map(key));
    for (const [name, count] of [...begun, ...ended]) {
      if (count > 1) {
        faults.push(`${name} has a record of ${begin} or ${end} ${count} times`);
      }
    }
    faults.push(...[...ended.keys()].filter((name) => !begun.has(name)).map((name) => `${name} has ${end} and no ${begin}`));
    if (begin === 'exec.start') {
      const open = lines.filter(
        (line) => line.action === begin && !ended.has(key(line)) && states.get(line.sandbox ?? '') !== 'running',
      );
      faults.push(...open.map((line) => `${key(line)} has ${begin} and no ${end}`));
    }
  };
  pair('exec.start', 'exec.end', (line) => `${line.sandbox} ${String(line.detail?.['execution'])}`);
  return faults;
}

function countBy(names: readonly string[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  names.forEach((name) => counts.set(name, (counts.get(name) ?? 0) + 1));
  return counts;
}

function gapFaults(lines: readonly Line[]): readonly string[] {
  return lines.flatMap(({ seq }, index) => (seq === index + 1 ? [] : [`record ${seq} stands at place ${index + 1}`])).slice(0, 3);
}
