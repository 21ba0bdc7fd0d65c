import { canonicalPypi } from './package-verdict.ts';

/** A name of more parts is of no project. */
const mostParts = 64;

/** The version in the name of a wheel or a source archive; empty if there is none. */
export function versionOf(filename: string, project?: string): string {
  const bare = filename.replace(/\.(?:metadata|asc|provenance)$/, '');
  if (/\.(?:whl|egg)$/i.test(bare)) {
    return bare.split('-')[1]?.replace(/\.egg$/i, '') ?? '';
  }
  const stem = bare.replace(/\.(?:tar(?:\.(?:gz|bz2|xz|lz|lzma|z|zst))?|tgz|tbz2?|txz|tlz|zip|exe|msi|rpm|deb)$/i, '');
  const parts = stem.split('-');
  const at =
    project === undefined
      ? -1
      : parts
          .slice(0, mostParts)
          .findIndex((_, index) => index > 0 && canonicalPypi(parts.slice(0, index).join('-')) === project);
  return at === -1 ? (/-(\d[^-]*)$/.exec(stem)?.[1] ?? '') : parts.slice(at).join('-');
}
