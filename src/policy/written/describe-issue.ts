import type { z } from 'zod';

import { nearest, visible } from '../../base/text.ts';
import type { ValuePath } from './policy-layer.ts';

/** Puts a fault that a schema found into words for the person who wrote the file. */
export interface SchemaFault {
  readonly path: ValuePath;
  /** the fault is the key itself, not its value */
  readonly atKey: boolean;
  readonly what: string;
  readonly hint: string | undefined;
}

type Issue = z.core.$ZodIssue;

interface FileWords {
  /** the keys that are allowed at a path, for the nearest one */
  readonly keysAt: (path: ValuePath) => readonly string[];
  /** what the file is, e.g. `policy` */
  readonly what: string;
}

export function describeIssue(issue: Issue, value: unknown, words: FileWords): readonly SchemaFault[] {
  const path = issue.path.map((part) => (typeof part === 'number' ? part : String(part)));
  const { keysAt } = words;
  const subject = subjectOf(path, words);
  const actual = valueAt(value, path);
  const fault = (what: string, hint?: string): readonly SchemaFault[] => [
    { path, atKey: false, what: `${subject} ${what}`, hint },
  ];
  switch (issue.code) {
    case 'unrecognized_keys':
      // Only the first fault of a file is shown: thousands of hints would be made for nobody.
      return issue.keys.map((key, index) => unknownKey(key, path, index === 0 ? keysAt(path) : []));
    case 'invalid_union':
      return describeUnion(issue, value, { path, words });
    case 'invalid_key':
      return [{ path, atKey: true, what: `"${visible(String(path.at(-1)))}" ${wordsOf(issue.issues)}`, hint: undefined }];
    case 'invalid_type':
      return fault(typeWords(issue.expected, actual));
    case 'invalid_value':
      return fault(...choiceWords(issue.values.map(String), actual));
    case 'too_small':
    case 'too_big':
      return fault(boundWords(issue));
    default:
      return fault(wordsWithValue(issue.message, actual));
  }
}

function subjectOf(path: ValuePath, { what }: FileWords): string {
  return path.length === 0
    ? `the ${what}`
    : visible(
        path
          .map((part) => (typeof part === 'number' ? `[${part}]` : `.${part}`))
          .join('')
          .replace(/^\./, ''),
      );
}

function wordsOf(issues: readonly Issue[]): string {
  return issues[0]?.message ?? 'is not a name';
}

function wordsWithValue(message: string, value: unknown): string {
  return typeof value === 'string' && value.length <= 80 ? `"${visible(value)}": ${message}` : message;
}

function boundWords(issue: Extract<Issue, { code: 'too_small' | 'too_big' }>): string {
  const isNumber = issue.origin === 'number';
  if (issue.code === 'too_big') {
    return `must be at most ${String(issue.maximum)}${isNumber ? '' : ' long'}`;
  }
  return isNumber ? `must be at least ${String(issue.minimum)}` : 'must not be empty';
}

function unknownKey(key: string, path: ValuePath, known: readonly string[]): SchemaFault {
  const near = nearest(key, known);
  return {
    path: [...path, key],
    atKey: true,
    what: `unknown key "${visible(key)}"`,
    hint: near === undefined ? `Known here: ${known.join(', ')}.` : `Did you mean "${near}"?`,
  };
}

interface Place {
  readonly path: ValuePath;
  readonly words: FileWords;
}

/** The alternative that the writer meant is the one whose kind of value fits. */
function describeUnion(
  issue: Extract<Issue, { code: 'invalid_union' }>,
  value: unknown,
  { path, words }: Place,
): readonly SchemaFault[] {
  // A word is no alternative to a list or a map, whichever word it is.
  const isMany = typeof valueAt(value, path) === 'object';
  const isOther = ({ code }: Issue): boolean => code === 'invalid_type' || (code === 'invalid_value' && isMany);
  const meant = issue.errors.find((issues) => !issues.some((inner) => inner.path.length === 0 && isOther(inner)));
  if (meant === undefined) {
    const expected = issue.errors.flatMap((issues) =>
      issues.flatMap((inner) => (inner.code === 'invalid_type' ? [kindWords[inner.expected] ?? inner.expected] : [])),
    );
    const what = `must be ${[...new Set(expected)].join(' or ')}, not ${kindOf(valueAt(value, path))}`;
    return [{ path, atKey: false, what: `${subjectOf(path, words)} ${what}`, hint: undefined }];
  }
  return meant.flatMap((inner) => describeIssue({ ...inner, path: [...path, ...inner.path] }, value, words));
}

const kindWords: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a map of keys',
  record: 'a map of names',
};

function typeWords(expected: string, actual: unknown): string {
  return actual === undefined ? 'is missing' : `must be ${kindWords[expected] ?? expected}, not ${kindOf(actual)}`;
}

function kindOf(value: unknown): string {
  if (value === null || value === undefined) {
    return 'nothing';
  }
  if (Array.isArray(value)) {
    return 'a list';
  }
  return kindWords[typeof value] ?? typeof value;
}

function choiceWords(choices: readonly string[], actual: unknown): [string, string | undefined] {
  if (actual === undefined) {
    return [`is missing; write ${choices.join(' or ')}`, undefined];
  }
  const near = typeof actual === 'string' ? nearest(actual, choices) : undefined;
  const shown =
    typeof actual === 'string' || typeof actual === 'number' || typeof actual === 'boolean'
      ? `"${visible(String(actual)).slice(0, 80)}"`
      : kindOf(actual);
  return [
    `must be ${choices.length === 1 ? '' : 'one of '}${choices.join(', ')}, not ${shown}`,
    near === undefined || near === actual ? undefined : `Did you mean "${near}"?`,
  ];
}

function valueAt(value: unknown, path: ValuePath): unknown {
  let current = value;
  for (const part of path) {
    if (typeof current !== 'object' || current === null || !Object.hasOwn(current, part)) {
      return undefined;
    }
    current = Reflect.get(current, part);
  }
  return current;
}
