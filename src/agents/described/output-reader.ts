import {
  countOf,
  member,
  parseLine,
  textOf,
  type AgentNote,
  type AgentReader,
  type AgentReport,
  type AgentUsage,
} from '../print.ts';
import type { WrittenOutput } from './output-schema.ts';

/** Reads an agent's output in the form that its description declares. Its content was written in the sandbox. */

type Fields = NonNullable<WrittenOutput['fields']>;
type Event = NonNullable<WrittenOutput['events']>[number];

/** Of a result nobody reads more, and an agent that never ends must not fill the memory of who looks on. */
const maxTextLength = 1024 * 1024;

export function outputReader(output: WrittenOutput): AgentReader {
  switch (output.form) {
    case 'text':
      return wholeText((text) => ({ report: { result: text.trim(), failed: false } }));
    case 'json':
      return wholeText((text) => documentNote(output, text));
    case 'lines':
      return eventReader(output.events ?? []);
  }
}

/** Its last part, where it is longer than the bound. */
function wholeText(note: (text: string) => AgentNote): AgentReader {
  let text = '';
  return (line) => {
    if (line === undefined) {
      return note(text.slice(-maxTextLength));
    }
    text += `${line}\n`;
    // Now and then, for each cut copies what is kept.
    if (text.length > 2 * maxTextLength) {
      text = text.slice(-maxTextLength);
    }
    return undefined;
  };
}

function documentNote({ fields = {}, failed }: WrittenOutput, text: string): AgentNote {
  const document = parseLine(text);
  if (document === undefined) {
    return { report: { result: text.trim(), failed: true } };
  }
  const says = failed !== undefined && member(document, ...failed.at) === failed.is;
  return { report: { ...reportOf(document, fields), failed: says } };
}

function eventReader(events: readonly Event[]): AgentReader {
  // Where no event says how it ended, the exit code does.
  const speaks = events.some(({ failed }) => failed === false);
  let sums: Sums = { turns: 0, costUsd: 0, usage: noUsage };
  let hasFailed = false;
  return (line) => {
    if (line === undefined) {
      return speaks || hasFailed ? undefined : { report: { failed: false } };
    }
    const value = parseLine(line);
    const meant = value === undefined ? [] : events.filter((event) => isMeant(event, value));
    const notes = meant.map((event) => {
      const report = reportOf(value, event);
      const counted = event.adds ? plus(sums, report) : report;
      sums = event.adds ? { ...sums, ...counted } : sums;
      hasFailed ||= event.failed === true;
      return {
        say: saidBy(event, value),
        report: { ...counted, ...(event.failed === undefined ? {} : { failed: event.failed }) },
      };
    });
    return notes.length === 0
      ? undefined
      : { say: notes.flatMap(({ say }) => say), report: Object.assign({}, ...notes.map(({ report }) => report)) };
  };
}

function isMeant({ when }: Event, value: unknown): boolean {
  return Object.entries(when).every(([path, wanted]) => member(value, ...path.split('.')) === wanted);
}

function saidBy({ say, label }: Event, value: unknown): readonly string[] {
  const text = say === undefined ? undefined : textOf(member(value, ...say));
  const lines = (text ?? '').split('\n').filter((line) => line.trim() !== '');
  return label === undefined ? lines : lines.length === 0 ? [label] : lines.map((line) => `${label}${line}`);
}

const noUsage: AgentUsage = { inputTokens: 0, outputTokens: 0, cacheReadTokens: 0, cacheWriteTokens: 0 };
const usageNames = ['inputTokens', 'outputTokens', 'cacheReadTokens', 'cacheWriteTokens'] as const;

function reportOf(value: unknown, fields: Fields): Partial<AgentReport> {
  const text = (path: readonly string[] | undefined): string | undefined =>
    path === undefined ? undefined : textOf(member(value, ...path));
  const count = (path: readonly string[] | undefined): number | undefined =>
    path === undefined ? undefined : countOf(member(value, ...path));
  const found = {
    result: text(fields.result),
    conversation: text(fields.conversation),
    turns: count(fields.turns),
    costUsd: count(fields.cost),
    usage: usageNames.some((name) => fields[name] !== undefined)
      ? {
          inputTokens: count(fields.inputTokens) ?? 0,
          outputTokens: count(fields.outputTokens) ?? 0,
          cacheReadTokens: count(fields.cacheReadTokens) ?? 0,
          cacheWriteTokens: count(fields.cacheWriteTokens) ?? 0,
        }
      : undefined,
  };
  return Object.fromEntries(Object.entries(found).filter(([, entry]) => entry !== undefined));
}

interface Sums {
  readonly turns: number;
  readonly costUsd: number;
  readonly usage: AgentUsage;
}

function plus(sums: Sums, report: Partial<AgentReport>): Partial<AgentReport> {
  const { turns, costUsd, usage } = report;
  return {
    ...report,
    ...(turns === undefined ? {} : { turns: sums.turns + turns }),
    ...(costUsd === undefined ? {} : { costUsd: sums.costUsd + costUsd }),
    ...(usage === undefined
      ? {}
      : {
          usage: {
            inputTokens: sums.usage.inputTokens + usage.inputTokens,
            outputTokens: sums.usage.outputTokens + usage.outputTokens,
            cacheReadTokens: sums.usage.cacheReadTokens + usage.cacheReadTokens,
            cacheWriteTokens: sums.usage.cacheWriteTokens + usage.cacheWriteTokens,
          },
        }),
  };
}
