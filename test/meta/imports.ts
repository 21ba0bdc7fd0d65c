/** The imports of a source file, by how they load and what they name. */
import { join, dirname } from 'node:path';

import { withoutComments, type SourceFile } from './tree.ts';

export interface Import {
  readonly target: string;
  /** imported names; empty for a whole module, a side effect or `import()` */
  readonly names: readonly string[];
  readonly kind: 'type' | 'static' | 'dynamic';
}

const statement =
  /^(?:import\s+(type\s)?(?:([^'";]*?)\s*from\s*)?|export\s+(type\s)?(\*[^'";]*?|\{[^}]*\})\s*from\s*)['"]([^'"]+)['"]/gm;
const call = /\bimport\(\s*['"]([^'"]+)['"]\s*\)/g;

export function importsOf(text: string): readonly Import[] {
  const code = withoutComments(text);
  const fixed = Array.from(code.matchAll(statement), ([, type, clause, exportType, exported, target = '']): Import => {
    const all = namesIn(clause ?? exported ?? '');
    const names = all.filter((name) => !name.startsWith('type '));
    const typesOnly = (type ?? exportType) !== undefined || (all.length > 0 && names.length === 0);
    return { target, names, kind: typesOnly ? 'type' : 'static' };
  });
  return [...fixed, ...Array.from(code.matchAll(call), ([, target = '']): Import => ({ target, names: [], kind: 'dynamic' }))];
}

function namesIn(clause: string): readonly string[] {
  const list = /\{([^}]*)\}/.exec(clause)?.[1] ?? '';
  return list
    .split(',')
    .map((name) => name.trim())
    .filter(Boolean);
}

/** Path from the root of what a relative import names; `undefined` for packages and Node's modules. */
export function resolved(from: string, target: string): string | undefined {
  return target.startsWith('.') ? join(dirname(from), target) : undefined;
}

/** Every module of ours and every package that is loaded when `entry` is, before anything is called. */
export function loadedWith(files: readonly SourceFile[], entry: string): ReadonlySet<string> {
  const byPath = new Map(files.map((file) => [file.path, file.text]));
  const seen = new Set<string>();
  const visit = (path: string): void => {
    if (seen.has(path)) {
      return;
    }
    seen.add(path);
    for (const { target, kind } of importsOf(byPath.get(path) ?? '')) {
      if (kind === 'static') {
        visit(resolved(path, target) ?? target);
      }
    }
  };
  visit(entry);
  return seen;
}

/** Files that need themselves again by what they import, types too, before anything is called; each circle once, from its first file. */
export function circles(files: readonly SourceFile[]): readonly (readonly string[])[] {
  const targets = new Map(
    files.map(({ path, text }) => [
      path,
      importsOf(text).flatMap(({ target, kind }) => (kind === 'dynamic' ? [] : (resolved(path, target) ?? []))),
    ]),
  );
  const found: (readonly string[])[] = [];
  const done = new Set<string>();
  const visit = (path: string, way: readonly string[]): void => {
    if (way.includes(path)) {
      found.push(way.slice(way.indexOf(path)));
    } else if (!done.has(path)) {
      targets.get(path)?.forEach((target) => visit(target, [...way, path]));
      done.add(path);
    }
  };
  [...targets.keys()].toSorted().forEach((path) => visit(path, []));
  return found;
}
