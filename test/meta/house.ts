/** Rules for the manifest and for the pages of documentation. */
import { dirname, join } from 'node:path';

import type { SourceFile } from './tree.ts';

const installScripts = ['preinstall', 'install', 'postinstall', 'prepare', 'preprepare', 'postprepare'];

export function manifestFaults(manifest: unknown, version: string): readonly string[] {
  const field = (name: string): Readonly<Record<string, unknown>> => {
    const value: unknown = typeof manifest === 'object' && manifest !== null ? Reflect.get(manifest, name) : undefined;
    return typeof value === 'object' && value !== null ? { ...value } : {};
  };
  const stated: unknown = typeof manifest === 'object' && manifest !== null ? Reflect.get(manifest, 'version') : undefined;
  return [
    ...Object.keys(field('dependencies')).map((name) => `dependency ${name}: everything is bundled`),
    ...installScripts.filter((name) => name in field('scripts')).map((name) => `script ${name} would run on installation`),
    ...Object.entries({ ...field('devDependencies'), ...field('optionalDependencies') })
      .filter(([, range]) => !/^\d+\.\d+\.\d+$/.test(String(range)))
      .map(([name]) => `${name} is not pinned`),
    ...(stated === version ? [] : [`package.json says version ${String(stated)}, the program ${version}`]),
  ];
}

/** Relative links of Markdown pages that lead to no file, and links within a page to no heading. */
export function linkFaults(pages: readonly SourceFile[], present: (path: string) => boolean): readonly string[] {
  const headings = new Map(pages.map(({ path, text }) => [path, headingsOf(text)]));
  return pages.flatMap(({ path, text }) => {
    const prose = text.replaceAll(/```[\s\S]*?```|`[^`\n]*`/g, '');
    return Array.from(prose.matchAll(/\]\(([^)\s]+)\)/g), ([, target = '']) => target)
      .filter((target) => !/^[a-z]+:/.test(target))
      .flatMap((target) => {
        const [file = '', heading] = target.split('#');
        const there = file === '' ? path : join(dirname(path), file);
        if (file !== '' && !present(there)) {
          return [`${path}: ${file} is not there`];
        }
        const missing = heading !== undefined && headings.get(there)?.has(heading) === false;
        return missing ? [`${path}: there is no heading ${target}`] : [];
      });
  });
}

function headingsOf(text: string): ReadonlySet<string> {
  return new Set(Array.from(text.matchAll(/^#+ (.*)$/gm), ([, title = '']) => anchor(title)));
}

/** Files and folders of ours that a page names in code, such as `src/base/errors.ts`, and that are not there. */
export function pathFaults(pages: readonly SourceFile[], present: (path: string) => boolean): readonly string[] {
  return pages.flatMap(({ path, text }) =>
    Array.from(text.matchAll(/`((?:src|test|scripts|bench|docs)\/[\w./-]*)`/g), ([, named = '']) => named)
      .filter((named) => !present(named))
      .map((named) => `${path}: ${named} is not there`),
  );
}

/** The name of a heading as hosting sites make it. */
function anchor(title: string): string {
  return title
    .trim()
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
    .replaceAll(/\s/g, '-');
}
