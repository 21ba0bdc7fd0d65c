import { canonicalPypi } from './package-verdict.ts';
import { versionOf } from './python-file-name.ts';
import type { Ecosystem } from '../../policy/guards.ts';

/** What a request asks a registry for, by its path. */
export type PackageRequest =
  /** what there is of a package; `project` only where the path says it beyond doubt */
  | { readonly kind: 'metadata'; readonly ecosystem: Ecosystem; readonly project: string | undefined }
  | {
      readonly kind: 'archive';
      readonly ecosystem: Ecosystem;
      readonly name: string;
      readonly version: string;
      readonly file: string;
      /** where its metadata is, on the same host; `undefined`: elsewhere */
      readonly metadata: string | undefined;
    }
  /** servers may read the path in different ways, so it cannot be said what it is of */
  | { readonly kind: 'unclear'; readonly ecosystem: Ecosystem };

/** No address of a package is longer; what is could take long to read. */
const longestPath = 4096;

/** `undefined`: neither metadata nor an archive. A slash or parameters at the end change nothing. */
export function packageRequest(ecosystem: Ecosystem, path: string): PackageRequest | undefined {
  const plain = path.length > longestPath ? undefined : decoded(path);
  if (plain === undefined) {
    return { kind: 'unclear', ecosystem };
  }
  const read = ecosystem === 'npm' ? npmRequest : pypiRequest;
  const strict = read(withoutEnd(plain));
  const lenient = read(leniently(plain));
  // Only archives: metadata says itself what it is of.
  return lenient?.kind === 'archive' && !isSame(lenient, strict) ? { kind: 'unclear', ecosystem } : strict;
}

/** Without a slash or parameters at its end. */
function withoutEnd(path: string): string {
  const whole = path.endsWith('/') ? path.slice(0, -1) : path;
  const parameters = whole.indexOf(';', whole.lastIndexOf('/') + 1);
  return parameters === -1 ? whole : whole.slice(0, parameters);
}

/** As servers read it that end a path at an escaped `?`, take parameters off each segment, or pass over dots and blanks at its end. */
function leniently(path: string): string {
  const [before = ''] = path.split(/[?#\0]/, 1);
  const segments = before.split('/').map((segment) => segment.replace(/;.*$/s, '').replace(/[.\s]{1,16}$/, ''));
  return segments.filter((segment, index) => index === 0 || segment !== '').join('/');
}

function isSame(one: Extract<PackageRequest, { kind: 'archive' }>, other: PackageRequest | undefined): boolean {
  return other?.kind === 'archive' && other.name === one.name && other.version === one.version && other.file === one.file;
}

/** `/PREFIX/NAME/-/FILE-VERSION.tgz`; other paths with `/-/` are functions of the registry. */
function npmRequest(path: string): PackageRequest | undefined {
  const [, prefix = '', name, file] = /^(.*?)\/((?:@[^/]+\/)?[^/@][^/]*)\/-\/(?:@[^/]+\/)?([^/]+)$/.exec(path) ?? [];
  if (name !== undefined && file !== undefined && file.endsWith('.tgz')) {
    const bare = name.split('/').at(-1) ?? name;
    const version = file.startsWith(`${bare}-`) ? file.slice(bare.length + 1, -'.tgz'.length) : '';
    const metadata = `${prefix}/${name.replace('/', '%2f')}`;
    return { kind: 'archive', ecosystem: 'npm', name, version, file, metadata };
  }
  return (
    npmFile(path) ??
    (path.includes('/-/') || path === '' ? undefined : { kind: 'metadata', ecosystem: 'npm', project: undefined })
  );
}

/** An archive somewhere else, as some mirrors have them (`/NAME/download/FILE-VERSION.tgz`): its own name is all there is. */
function npmFile(path: string): PackageRequest | undefined {
  const file = path.split('/').at(-1) ?? '';
  if (!/\.tgz$/i.test(file)) {
    return undefined;
  }
  const [, bare = '', version = ''] = /^(.+?)-(\d+\.\d+\.\d+.*)\.tgz$/i.exec(file) ?? [];
  const scope = path.split('/').findLast((segment) => segment.startsWith('@'));
  const name = scope === undefined ? bare : `${scope}/${bare}`;
  return { kind: 'archive', ecosystem: 'npm', name, version, file, metadata: undefined };
}

/** All that pip unpacks, and what could be uploaded once. */
const pypiFile =
  /\.(?:whl|egg|zip|tar(?:\.(?:gz|bz2|xz|lz|lzma|z|zst))?|tgz|tbz2?|txz|tlz|exe|msi|rpm|deb)(?:\.(?:metadata|asc|provenance))?$/i;

function pypiRequest(path: string): PackageRequest | undefined {
  const project = /\/simple\/([^/]+)\/?$/.exec(path)?.[1] ?? /\/pypi\/([^/]+)(?:\/[^/]+)?\/json$/.exec(path)?.[1];
  if (project !== undefined) {
    return { kind: 'metadata', ecosystem: 'pypi', project: canonicalPypi(project) };
  }
  const file = path.split('/').at(-1) ?? '';
  if (!pypiFile.test(file)) {
    return undefined;
  }
  const version = versionOf(file);
  const name = canonicalPypi(
    file.endsWith('.whl') || file.includes('.whl.') ? (file.split('-')[0] ?? '') : nameBefore(file, version),
  );
  return {
    kind: 'archive',
    ecosystem: 'pypi',
    name,
    version,
    file: file.replace(/\.(?:metadata|asc|provenance)$/, ''),
    metadata: undefined,
  };
}

function nameBefore(file: string, version: string): string {
  return version === '' ? file : file.slice(0, Math.max(0, file.lastIndexOf(`-${version}`)));
}

/** A path that servers could read in two ways names no package. */
function decoded(path: string): string | undefined {
  try {
    const once = decodeURIComponent(path);
    const isPlain = !/%|\/\/|\\/.test(once) && !once.split('/').some((segment) => /^\.{1,2}(?:;|$)/.test(segment));
    return isPlain ? once : undefined;
  } catch {
    return undefined;
  }
}
