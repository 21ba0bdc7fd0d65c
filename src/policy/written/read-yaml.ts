import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, type Document, type Node, type YAMLError } from 'yaml';

import { visible } from '../../base/text.ts';
import type { Position, ValuePath } from './policy-layer.ts';

/**
 * Reads YAML (1.2, core schema) to plain data with the position of every value. Supports only the parts of YAML that a policy
 * needs.
 */

export interface YamlFault {
  readonly what: string;
  readonly hint?: string | undefined;
  readonly position: Position;
}

export interface YamlValue {
  readonly value: unknown;
  /** of values, by path with slashes */
  readonly positions: ReadonlyMap<string, Position>;
  /** of keys, by path with slashes */
  readonly keys: ReadonlyMap<string, Position>;
}

export const maxBytes = 256 * 1024;
const maxDepth = 16;
const maxLine = 4096;
const maxBrackets = 64;
const maxIndent = 200;

/** Either the value or the faults, first first. Refused: anchors, aliases, tags, several documents, keys that are not text. */
export function readYaml(text: string): YamlValue | { readonly faults: readonly YamlFault[] } {
  const early = sizeFault(text) ?? nestingFault(text);
  if (early !== undefined) {
    return { faults: [early] };
  }
  const lines = new LineCounter();
  const document = parseSafely(text, lines);
  if ('what' in document) {
    return { faults: [document] };
  }
  const errors = [...document.errors, ...document.warnings].toSorted((a, b) => a.pos[0] - b.pos[0]);
  if (errors.length > 0) {
    return { faults: errors.map((error) => syntaxFault(error, lines)) };
  }
  if (document.contents === null) {
    return {
      faults: [
        { what: 'the file is empty', hint: 'A policy starts with the line: version: 1', position: { line: 1, column: 1 } },
      ],
    };
  }
  return collect(document.contents, lines);
}

function sizeFault(text: string): YamlFault | undefined {
  // Characters are at most as many as bytes, so the cheap test comes first.
  return text.length > maxBytes || Buffer.byteLength(text) > maxBytes
    ? { what: `the file is larger than ${maxBytes / 1024} KiB`, position: { line: 1, column: 1 } }
    : undefined;
}

/**
 * Stops what nests past all sense before the parser sees it: 100 000 open brackets end the whole process inside its
 * regular expressions, which no `catch` can hold. Brackets in comments and texts count too; a policy has few.
 */
function nestingFault(text: string): YamlFault | undefined {
  let depth = 0;
  for (const [index, line] of text.split('\n').entries()) {
    const position = { line: index + 1, column: 1 };
    if (line.length > maxLine) {
      return { what: `the line is longer than ${maxLine} characters`, position };
    }
    const { deepest, end } = bracketsOf(line, depth);
    depth = end;
    if (deepest > maxBrackets || indicatorsOf(line) > maxDepth || line.startsWith(' '.repeat(maxIndent))) {
      return { what: 'the file is nested too deeply', position };
    }
  }
  return undefined;
}

function bracketsOf(line: string, start: number): { readonly deepest: number; readonly end: number } {
  let end = start;
  let deepest = start;
  for (const character of line) {
    if (character === '[' || character === '{') {
      end += 1;
      deepest = Math.max(deepest, end);
    } else if (character === ']' || character === '}') {
      end = Math.max(0, end - 1);
    }
  }
  return { deepest, end };
}

/** `- - ? :` at the start of a line each open a level; `---` and longer are text. */
function indicatorsOf(line: string): number {
  return (
    /^[\s?:-]*/
      .exec(line)?.[0]
      .split(/\s+/)
      .filter((part) => part.length === 1).length ?? 0
  );
}

function parseSafely(text: string, lineCounter: LineCounter): Document.Parsed | YamlFault {
  try {
    return parseDocument(text, {
      lineCounter,
      prettyErrors: false,
      uniqueKeys: false,
      version: '1.2',
      schema: 'core',
      merge: false,
    });
  } catch {
    // A range error of the parser: the reader learns no more from its words.
    return { what: 'the file is not readable as YAML', position: { line: 1, column: 1 } };
  }
}

function syntaxFault(error: YAMLError, lines: LineCounter): YamlFault {
  const position = positionAt(lines, error.pos[0]);
  switch (error.code) {
    case 'MULTIPLE_DOCS':
      return { what: 'a second document starts here; a policy file holds one', hint: 'Remove the line "---".', position };
    case 'TAG_RESOLVE_FAILED':
      return { what: 'tags have no place in a policy file', position };
    default:
      return { what: `not readable as YAML: ${visible(error.message)}`, position };
  }
}

function positionAt(lines: LineCounter, offset: number): Position {
  const { line, col } = lines.linePos(offset);
  return { line: Math.max(line, 1), column: Math.max(col, 1) };
}

function collect(root: Node, lines: LineCounter): YamlValue | { readonly faults: readonly YamlFault[] } {
  const positions = new Map<string, Position>();
  const keys = new Map<string, Position>();
  const faults: YamlFault[] = [];
  const placeOf = (node: Node): Position => positionAt(lines, node.range?.[0] ?? 0);

  function visit(node: unknown, path: ValuePath): unknown {
    if (!isScalar(node) && !isMap(node) && !isSeq(node) && !isAlias(node)) {
      return null;
    }
    const position = placeOf(node);
    positions.set(path.join('/'), position);
    const refusal = refusalOf(node, path);
    if (refusal !== undefined) {
      faults.push({ what: refusal, position });
    } else if (isMap(node)) {
      return Object.fromEntries(
        node.items.map((pair) => [visitKey(pair.key, path), visit(pair.value, [...path, keyText(pair.key)])]),
      );
    } else if (isSeq(node)) {
      return node.items.map((item, index) => visit(item, [...path, index]));
    } else if (isScalar(node)) {
      return node.value;
    }
    return null;
  }

  /** The parser's own search for repeated keys takes quadratic time: a minute for a file of full size. */
  function visitKey(key: unknown, path: ValuePath): string {
    const position = positionOfKey(key);
    const name = [...path, keyText(key)].join('/');
    if (!isScalar(key) || typeof key.value !== 'string' || key.anchor !== undefined) {
      faults.push({ what: 'a key must be plain text', position });
    } else if (keys.has(name)) {
      faults.push({ what: `the key "${visible(key.value)}" is written twice`, hint: 'Keep one of them.', position });
    }
    keys.set(name, position);
    return keyText(key);
  }

  function positionOfKey(key: unknown): Position {
    return isScalar(key) || isMap(key) || isSeq(key) || isAlias(key) ? placeOf(key) : { line: 1, column: 1 };
  }

  const value = visit(root, []);
  return faults.length > 0 ? { faults } : { value, positions, keys };
}

function keyText(key: unknown): string {
  return isScalar(key) ? String(key.value) : '';
}

function refusalOf(node: Node, path: ValuePath): string | undefined {
  if (isAlias(node) || node.anchor !== undefined) {
    return 'anchors and aliases have no place in a policy file; write the value out';
  }
  if (node.tag !== undefined && !node.tag.startsWith('tag:yaml.org,2002:')) {
    return 'tags have no place in a policy file';
  }
  return path.length > maxDepth ? 'the file is nested too deeply' : undefined;
}
