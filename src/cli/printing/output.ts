import { styleText } from 'node:util';

import { terminalSafeJson, visible } from '../../base/text.ts';
import type { CommandContext } from '../command.ts';

/** How commands print: JSON for programs, aligned text for people, and colours only where the stream shows them. */

export function printJson(stream: NodeJS.WritableStream, value: unknown): void {
  stream.write(`${terminalSafeJson(JSON.stringify(value, undefined, 2))}\n`);
}

/** Rows under headings, columns aligned by two spaces. Cells are made safe to show. */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = [headings, ...rows.map((row) => row.map(visible))];
  const widths = headings.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  return cells
    .map(
      (row) =>
        `${row
          .map((cell, column) => cell.padEnd(widths[column] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}

/** Names and values, one a line. */
export function facts(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${visible(value)}\n`).join('');
}

export type Mark = 'yes' | 'no' | 'unknown';

const marks = { yes: ['✓', 'green'], no: ['✗', 'red'], unknown: ['?', 'yellow'] } as const satisfies Record<
  Mark,
  readonly [string, string]
>;

/** A tick is for what was read back or probed and for nothing else. */
export function mark(stream: NodeJS.WriteStream, kind: Mark): string {
  const [text, colour] = marks[kind];
  return styleText(colour, text, { stream });
}

export function dim(stream: NodeJS.WriteStream, text: string): string {
  return styleText('dim', text, { stream });
}

export function bold(stream: NodeJS.WriteStream, text: string): string {
  return styleText('bold', text, { stream });
}

/** Whether a line on standard error can be drawn over: at a terminal that moves its cursor, which `TERM=dumb` says it does not. */
export function drawsOver({ stderr, env }: Pick<CommandContext, 'stderr' | 'env'>): boolean {
  return stderr.isTTY && env.get('TERM') !== 'dumb';
}

/** `2 minutes` since then, for lists. */
export function ago(iso: string | undefined, nowMs: number): string {
  if (iso === undefined) {
    return '';
  }
  const seconds = Math.max(0, Math.round((nowMs - Date.parse(iso)) / 1000));
  const steps: readonly (readonly [number, string])[] = [
    [86_400, 'day'],
    [3600, 'hour'],
    [60, 'minute'],
    [1, 'second'],
  ];
  const [size, name] = steps.find(([unit]) => seconds >= unit) ?? [1, 'second'];
  const count = Math.floor(seconds / size);
  return `${count} ${name}${count === 1 ? '' : 's'}`;
}
