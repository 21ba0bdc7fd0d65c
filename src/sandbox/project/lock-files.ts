import { asObject } from '../../base/json.ts';
import { findBeneath } from '../../system/find-beneath.ts';

/** Versions that a project's lock files name. They may be fetched whatever their age, because someone chose them earlier. */

const names = new Set([
  'package-lock.json',
  'npm-shrinkwrap.json',
  'yarn.lock',
  'pnpm-lock.yaml',
  'poetry.lock',
  'uv.lock',
  'pdm.lock',
  'Pipfile.lock',
  'requirements.txt',
]);
const bounds = { maxDepth: 0, maxFolders: 1, maxFiles: names.size, maxFileBytes: 32 * 1024 * 1024 };
const greatestCount = 50_000;

/** `npm:name@version` and `pypi:name@version`, names in the ecosystem's canonical form. Files that cannot be read give nothing. */
export async function lockedVersions(workspace: string): Promise<readonly string[]> {
  const files = await findBeneath(workspace, { ...bounds, wantsFile: (name) => names.has(name), entersFolder: () => false });
  return [...new Set(files.flatMap(({ path, content }) => readLock(path, content.toString('utf8'))))].slice(0, greatestCount);
}

export function readLock(name: string, text: string): readonly string[] {
  try {
    switch (name) {
      case 'package-lock.json':
      case 'npm-shrinkwrap.json':
        return fromNpm(JSON.parse(text));
      case 'yarn.lock':
        return fromYarn(text);
      case 'pnpm-lock.yaml':
        return fromPnpm(text);
      case 'Pipfile.lock':
        return fromPipfile(JSON.parse(text));
      case 'requirements.txt':
        return fromRequirements(text);
      default:
        return fromToml(text);
    }
  } catch {
    return [];
  }
}

function npm(name: string, version: string): string {
  return `npm:${name}@${version}`;
}

/** PEP 503. */
function pypi(name: string, version: string): string {
  return `pypi:${name.toLowerCase().replaceAll(/[-_.]+/g, '-')}@${version}`;
}

function fromNpm(lock: unknown): readonly string[] {
  const packages = Object.entries(asObject(asObject(lock)['packages'])).flatMap(([path, entry]) => {
    const { name, version } = asObject(entry);
    const placed = path.split('node_modules/').at(-1) ?? '';
    return path === '' || typeof version !== 'string' ? [] : [npm(typeof name === 'string' ? name : placed, version)];
  });
  return [...packages, ...fromDependencies(asObject(lock)['dependencies'])];
}

/** The first form of npm's lock: dependencies in dependencies. Into one list: to join those of each level would copy all below it. */
function fromDependencies(dependencies: unknown, found: string[] = []): readonly string[] {
  for (const [name, entry] of Object.entries(asObject(dependencies))) {
    const { version, dependencies: inner } = asObject(entry);
    if (typeof version === 'string') {
      found.push(npm(name, version));
    }
    fromDependencies(inner, found);
  }
  return found;
}

const yarnEntry = /^"?((?:@[^@\s"/]+\/)?[^@\s"]+)@[^\n]*:\n(?: {2}[^\n]*\n)*? {2}version:? "?([^"\s]+)"?/gm;

function fromYarn(text: string): readonly string[] {
  return [...text.matchAll(yarnEntry)].map(([, name = '', version = '']) => npm(name, version));
}

/** Line by line: a reader of YAML takes minutes for a file of some MiB, and pnpm writes one key of `packages` a line. */
function fromPnpm(text: string): readonly string[] {
  const [, packages = ''] = text.split(/^packages:[ \t]*\r?$/m, 2);
  const [own = ''] = packages.split(/^(?=[^\s#])/m, 1);
  return own.split('\n').flatMap((line) => {
    const [, key = ''] = /^ {2}['"]?([^\s'"]{1,512})['"]?:/.exec(line) ?? [];
    const [, name, version] = /^\/?((?:@[^/@]+\/)?[^/@]+)[@/]([^(@/]+)/.exec(key) ?? [];
    return name === undefined || version === undefined ? [] : [npm(name, version)];
  });
}

function fromPipfile(lock: unknown): readonly string[] {
  return ['default', 'develop'].flatMap((group) =>
    Object.entries(asObject(asObject(lock)[group])).flatMap(([name, entry]) => {
      const { version } = asObject(entry);
      return typeof version === 'string' && version.startsWith('==') ? [pypi(name, version.slice(2))] : [];
    }),
  );
}

/** Only what is pinned with a hash is a lock. A line that ends in `\` goes on in the next. */
function fromRequirements(text: string): readonly string[] {
  return text
    .replaceAll(/\\\r?\n/g, ' ')
    .split('\n')
    .flatMap((line) => {
      const [, name = '', version = ''] =
        /^[ \t]*([A-Za-z0-9][A-Za-z0-9._-]{0,127})(?:\[[^\]]{0,256}\])?==([^\s;\\]{1,128})/.exec(line) ?? [];
      return name !== '' && line.includes('--hash=') ? [pypi(name, version)] : [];
    });
}

/** poetry, uv and pdm: `[[package]]` with its name and version. */
function fromToml(text: string): readonly string[] {
  return text
    .split(/^\[\[package\]\]$/m)
    .slice(1)
    .flatMap((part) => {
      const name = /^name = "([^"]+)"$/m.exec(part)?.[1];
      const version = /^version = "([^"]+)"$/m.exec(part)?.[1];
      return name === undefined || version === undefined ? [] : [pypi(name, version)];
    });
}
