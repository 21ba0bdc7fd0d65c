/** Which tests have the machine to themselves. Read by `vitest.config.ts`. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';

const folders = ['test/contract', 'test/integration', 'test/security', 'test/e2e'];

/**
 * Files of real tests, apart by what they need: those that look whether an engine is there (`require-engine.ts`, themselves or
 * through a helper) make sandboxes and count what is left of them, so nothing else may run beside them; the rest has files and
 * sockets of its own. Paths from the repository's root.
 */
export function realTests(root: string): { readonly alone: readonly string[]; readonly beside: readonly string[] } {
  const files = folders.flatMap((folder) =>
    readdirSync(join(root, folder))
      .filter((name) => name.endsWith('.test.ts'))
      .map((name) => `${folder}/${name}`),
  );
  const { true: alone = [], false: beside = [] } = Object.groupBy(files, (file) => String(needsEngine(root, file, new Set())));
  return { alone, beside };
}

function needsEngine(root: string, file: string, seen: Set<string>): boolean {
  if (seen.has(file)) {
    return false;
  }
  seen.add(file);
  const text = readFileSync(join(root, file), 'utf8');
  const imported = [...text.matchAll(/from '(\.[^']+\.ts)'/g)].map(([, path = '']) => normalize(join(dirname(file), path)));
  return (
    imported.includes('test/helpers/require-engine.ts') ||
    imported.some((path) => path.startsWith('test/') && needsEngine(root, path, seen))
  );
}
