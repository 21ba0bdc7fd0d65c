/** The checkout as the meta tests see it: files by path from the root, read once. */
import { readFileSync, readdirSync } from 'node:fs';
import { join, relative } from 'node:path';

export interface SourceFile {
  /** from the root, e.g. `src/base/ids.ts` */
  readonly path: string;
  readonly text: string;
}

export const root = join(import.meta.dirname, '..', '..');

/** What is made, fetched or not ours. */
const skipped = new Set(['node_modules', 'dist', 'dist.new', '.git', '.cache', 'coverage', 'results']);

function walk(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (skipped.has(entry.name)) {
      return [];
    }
    const path = join(folder, entry.name);
    return entry.isDirectory() ? walk(path) : entry.isFile() ? [path] : [];
  });
}

export const tree: readonly SourceFile[] = walk(root).map((path) => ({
  path: relative(root, path),
  text: readFileSync(path, 'utf8'),
}));

/** Our own code: TypeScript below `src/`, without the tour's sample project. */
export const sources = tree.filter(({ path }) => /^src\/(?!tour\/sample\/).*\.ts$/.test(path));

export const tests = tree.filter(({ path }) => /^test\/(?!fixtures\/).*\.ts$/.test(path));

/** The text without comments, so that a rule does not trip over what a comment says. Strings stay. */
export function withoutComments(text: string): string {
  return text.replaceAll(/\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/.*$/gm, '');
}

/** What quotes hold is data, not code; template literals are left alone, for they hold code, too. */
export function withoutStrings(text: string): string {
  return withoutComments(text).replaceAll(/'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"/g, "''");
}
