import type { z } from 'zod';

import { CasemateError, type ErrorCode } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import { describeIssue } from './describe-issue.ts';
import { positionOf, type Position, type ValuePath } from './policy-layer.ts';
import { readYaml } from './read-yaml.ts';

/** Parses a file that people write, by a strict schema. Each fault is one error with path, line, column and what to do. */
export interface FileForm<T> {
  readonly schema: z.ZodType<T>;
  /** names of the keys that may stand at a path, for the nearest one */
  readonly keysAt: (path: ValuePath) => readonly string[];
  readonly code: ErrorCode;
  /** what such a file is, e.g. `policy` */
  readonly what: string;
}

export interface FileText {
  /** absolute path, or a word for where the text is from */
  readonly source: string;
  readonly text: string;
}

export interface ReadFile<T> {
  readonly value: T;
  /** by path with slashes, e.g. `network/0/host` */
  readonly positions: ReadonlyMap<string, Position>;
}

interface Fault {
  readonly what: string;
  readonly hint?: string | undefined;
  readonly position: Position;
}

/** Throws the form's error: the first fault of the file, and how many more there are. */
export function parseFile<T>({ source, text }: FileText, form: FileForm<T>): ReadFile<T> {
  const yaml = readYaml(text);
  if ('faults' in yaml) {
    throw firstOf(source, yaml.faults, form);
  }
  const parsed = form.schema.safeParse(yaml.value);
  if (parsed.success) {
    return { value: parsed.data, positions: yaml.positions };
  }
  const faults = parsed.error.issues.flatMap((issue) => describeIssue(issue, yaml.value, form));
  // A misspelt key is also a missing one; its own fault says more, so it comes first.
  const placed = faults
    .toSorted((a, b) => Number(b.atKey) - Number(a.atKey))
    .map(({ path, atKey, what, hint }) => {
      const position = (atKey ? yaml.keys.get(path.join('/')) : undefined) ?? positionOf(yaml.positions, path);
      return { what, hint, position };
    });
  throw firstOf(source, placed, form);
}

function firstOf<T>(source: string, faults: readonly Fault[], { code, what }: FileForm<T>): CasemateError {
  const sorted = faults.toSorted((a, b) => a.position.line - b.position.line || a.position.column - b.position.column);
  const [first] = sorted;
  if (first === undefined) {
    return new CasemateError(code, `${visible(source)}: the file is not the ${what}`);
  }
  const more = sorted.length === 1 ? '' : ` (and ${sorted.length - 1} more ${sorted.length === 2 ? 'fault' : 'faults'})`;
  const { line, column } = first.position;
  return new CasemateError(code, `${visible(source)}:${line}:${column}: ${first.what}${more}`, { hint: first.hint });
}
