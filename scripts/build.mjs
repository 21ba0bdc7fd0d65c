#!/usr/bin/env node
/**
 * Makes `dist/`: one entry, a chunk for each command and engine that is loaded when used, the data files, the notices
 * of what is inside and its bill of materials. The result needs no `node_modules`.
 * `--source FOLDER --out FOLDER` builds another source, which lies below this checkout, into another folder.
 */
import { chmodSync, cpSync, globSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

import { rolldown } from 'rolldown';

import { takeBuiltIns } from './built-ins.mjs';
import { launcherText } from './launcher.mjs';
import { billOfMaterials, bundledPackages, notices } from './notices.mjs';
import { inputsDigest, stampName } from './setup/bundle.mjs';
import { root } from './setup/places.mjs';

/** Programs that are started by file name, the command line and threads; and what other programs import. */
const entries = { casemate: 'cli/main.ts', library: 'library/library.ts', 'scan-worker': 'journal/scan-worker.ts' };

/**
 * Modules that are loaded together are one file: each further file costs about a millisecond. What every command line
 * loads, `--help` included; what every command that talks to the daemon loads beside it; what it loads while the daemon works.
 */
const together = {
  core: [
    'base/errors',
    'base/text',
    'cli/commands',
    'cli/table/*',
    'cli/help',
    'cli/reading/parse-options',
    'system/environment',
    'system/paths',
    'system/version',
  ],
  caller: [
    'base/json',
    'base/units',
    'cli/reading/make-request',
    'cli/session/connect',
    'cli/session/session',
    'cli/session/tell-end',
    'daemon/build-id',
    'daemon/client',
    'daemon/execution-link',
    'daemon/lines',
    'daemon/protocol',
    'system/files',
    'system/process-identity',
  ],
  session: ['cli/session/attach', 'daemon/output-log', 'daemon/start-failure', 'system/process'],
};

/** Files below `src/` that are read or handed to a program at run time; found again by `src/system/data-file.ts`. */
const dataFiles = ['**/*.pl', 'tour/sample/**/*', '**/data/**/*'];

const { values } = parseArgs({ options: { source: { type: 'string' }, out: { type: 'string' } } });
const source = resolve(root, values.source ?? 'src');
const finished = resolve(root, values.out ?? 'dist');
const digest = inputsDigest(source);
// Made beside and put in place at the end: a build that fails leaves the last good one.
const dist = `${finished}.new`;
rmSync(dist, { recursive: true, force: true });
const bundle = await rolldown({
  input: Object.fromEntries(Object.entries(entries).map(([name, file]) => [name, join(source, file)])),
  platform: 'node',
  // pkijs reaches for a global `window`-like scope; nothing else of a browser is wanted.
  resolve: { conditionNames: ['node', 'import', 'default'] },
  onLog: refuseUnresolved,
  plugins: [{ name: 'built-in-modules', renderChunk: takeBuiltIns }],
});
const { output } = await bundle.write({
  dir: dist,
  format: 'esm',
  minify: { compress: true, mangle: false },
  codeSplitting: {
    groups: Object.entries(together).map(([name, modules], index) => ({ name, test: moduleTest(modules), priority: 3 - index })),
  },
  entryFileNames: '[name].js',
  chunkFileNames: '[name]-[hash].js',
});
await bundle.close();
refuseImportsOfEntries(output);
chmodSync(join(dist, 'casemate.js'), 0o755);
// A machine whose own Node is too old has the right one below the checkout.
writeFileSync(join(dist, 'casemate'), launcherText(source), { mode: 0o755 });
copyData();
cpSync(join(source, 'library/library-types.ts'), join(dist, 'library.d.ts'));
const packages = bundledPackages(output.flatMap((chunk) => (chunk.type === 'chunk' ? chunk.moduleIds : [])));
writeFileSync(join(dist, 'THIRD-PARTY-NOTICES.txt'), notices(packages));
writeFileSync(join(dist, 'bom.cdx.json'), `${JSON.stringify(billOfMaterials(packages), undefined, 2)}\n`);
rmSync(finished, { recursive: true, force: true });
renameSync(dist, finished);
writeFileSync(join(finished, stampName), `${digest}\n`);
const bytes = output.reduce((sum, part) => sum + Buffer.byteLength(part.type === 'chunk' ? part.code : part.source), 0);
process.stdout.write(
  `${basename(finished)}: ${output.length} files, ${Math.round(bytes / 1024)} KiB, ${packages.length} packages inside\n`,
);

/** Matches the files of modules; one that was moved away would make every start slower and nobody would notice. */
function moduleTest(modules) {
  const files = modules.flatMap((name) => {
    const found = globSync(`${name}.ts`, { cwd: source, withFileTypes: false });
    if (found.length === 0) {
      throw new Error(`no module ${name}: scripts/build.mjs names what is loaded together`);
    }
    return found;
  });
  return (id) => files.some((file) => id === join(source, file));
}

/** The entry awaits what it loads; a chunk that imported the entry would wait for it, and both for ever. */
function refuseImportsOfEntries(parts) {
  const names = new Set(parts.filter((part) => part.type === 'chunk' && part.isEntry).map((part) => part.fileName));
  const importer = parts.find((part) => part.type === 'chunk' && part.imports.some((name) => names.has(name)));
  if (importer !== undefined) {
    throw new Error(`${importer.fileName} imports an entry of the bundle`);
  }
}

/** An import that is left open would fail on the user's machine, where there is no `node_modules`. */
function refuseUnresolved(level, log, handle) {
  if (log.code === 'UNRESOLVED_IMPORT') {
    throw new Error(log.message);
  }
  handle(level, log);
}

function copyData() {
  for (const name of globSync(dataFiles, { cwd: source, exclude: ['cli/short-way/**'], withFileTypes: false })) {
    const target = join(dist, 'data', name);
    mkdirSync(dirname(target), { recursive: true });
    if (readIfFile(join(source, name)) !== undefined) {
      cpSync(join(source, name), target);
    }
  }
}

function readIfFile(path) {
  try {
    return readFileSync(path);
  } catch (error) {
    if (error.code === 'EISDIR') {
      return undefined;
    }
    throw error;
  }
}
