import { styleText } from 'node:util';

import { visible } from '../base/text.ts';
import type { JournalRecord } from './record.ts';

/** Formats records as lines for people. Every text goes through `visible`, because a sandbox chose much of it. */

export interface RenderOptions {
  readonly colours: 'on' | 'off';
}

type Style = 'red' | 'green' | 'dim';

/** One line without line feed: time, decision, sandbox, action, subject, outcome, the rest. */
export function renderRecord(record: JournalRecord, options: RenderOptions): string {
  const { time, decision, sandbox = '-', action, subject, outcome, rule } = record;
  const paint = (style: Style, text: string): string =>
    options.colours === 'on' ? styleText(style, text, { validateStream: false }) : text;
  const decisionText = decision.padEnd(5);
  return [
    paint('dim', visible(time).replace('T', ' ')),
    decision === 'deny'
      ? paint('red', decisionText)
      : decision === 'allow'
        ? paint('green', decisionText)
        : paint('dim', decisionText),
    visible(sandbox).padEnd(19),
    visible(action).padEnd(16),
    visible(subject),
    visible(outcome),
    ...(rule === undefined ? [] : [paint('dim', `rule=${visible(rule)}`)]),
    ...factsOf(record).map((fact) => paint('dim', fact)),
  ]
    .join('  ')
    .trimEnd();
}

function factsOf({ actor, credential, detail }: JournalRecord): readonly string[] {
  const facts = Object.entries(detail ?? {}).map(([name, value]) => `${visible(name)}=${shortened(visible(String(value)))}`);
  return [`by=${visible(actor)}`, ...(credential === undefined ? [] : [`credential=${visible(credential)}`]), ...facts];
}

function shortened(text: string): string {
  return text.length > 64 ? `${text.slice(0, 16)}...` : text;
}
