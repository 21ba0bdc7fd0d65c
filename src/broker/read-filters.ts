import { readStrictJson } from '../base/strict-json.ts';
import { isJsonObject } from '../base/json.ts';
import { visible } from '../base/text.ts';
import { malformed } from './refusal.ts';

/** The `filters` parameter of lists: names, each with values, in either of the two forms that clients write. */

export type Filters = ReadonlyMap<string, readonly string[]>;

/** Throws a refusal for a filter that is not known: a list that is not narrowed would be taken for one that is. */
export function readFilters(text: string, known: readonly string[]): Filters {
  if (text === '') {
    return new Map();
  }
  const value = readStrictJson(Buffer.from(text));
  if (!isJsonObject(value)) {
    throw malformed('the filters are not one JSON object');
  }
  const rows = Object.entries(value).map(([name, values]) => [name, valuesOf(values)] as const);
  const unknown = rows.find(([name]) => !known.includes(name));
  if (unknown !== undefined) {
    throw malformed(`the filter ${visible(unknown[0]).slice(0, 64)} is not known here`);
  }
  return new Map(rows.filter(([, values]) => values.length > 0));
}

function valuesOf(values: unknown): readonly string[] {
  const list = Array.isArray(values)
    ? values
    : isJsonObject(values)
      ? Object.keys(values).filter((name) => values[name] === true)
      : [];
  return list.map(String);
}

/** Whether all of the wanted labels, `name` or `name=value`, are there. */
export function hasLabels(labels: Readonly<Record<string, string>>, wanted: readonly string[] = []): boolean {
  return wanted.every((row) => {
    const at = row.indexOf('=');
    return at < 0 ? Object.hasOwn(labels, row) : labels[row.slice(0, at)] === row.slice(at + 1);
  });
}

export function isAmong(value: string, wanted: readonly string[] | undefined): boolean {
  return wanted === undefined || wanted.includes(value);
}
