import { canonicalPypi } from './package-verdict.ts';

/** The version in the name of a wheel or a source archive; empty if there is none. */
export function versionOf(filename: string, project?: string): string {
  const bare = filename.replace(/\.(?:metadata|asc|provenance)$/, '');
  if (/\.(?:whl|egg)$/.test(bare)) {
    return bare.split('-')[1]?.replace(/\.egg$/, '') ?? '';
  }
  const stem = bare.replace(/\.(?:tar\.(?:gz|bz2|xz)|tgz|zip|exe|msi)$/, '');
  const parts = stem.split('-');
  const at = parts.findIndex((_, index) => index > 0 && canonicalPypi(parts.slice(0, index).join('-')) === project);
  return at === -1 ? (/-(\d[^-]*)$/.exec(stem)?.[1] ?? '') : parts.slice(at).join('-');
}
