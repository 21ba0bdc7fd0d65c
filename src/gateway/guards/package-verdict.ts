import { satisfies as satisfiesPep440 } from '@renovatebot/pep440';
import semver from 'semver';

import { formatDuration } from '../../base/units.ts';
import type { Ecosystem, PackagePattern, PackageRule } from '../../policy/guards.ts';

/** Whether a version may be offered: the rule of every layer must allow it. */
export interface PackageVersion {
  readonly ecosystem: Ecosystem;
  /** in the ecosystem's canonical form */
  readonly name: string;
  readonly version: string;
}

export interface VerdictContext {
  readonly rules: readonly PackageRule[];
  readonly locked: ReadonlySet<string>;
  readonly nowMs: number;
}

/** Why it is withheld, in a few words; `undefined`: it is offered. `publishedMs` is `undefined` where nobody says. */
export function withheldBecause(
  one: PackageVersion,
  publishedMs: number | undefined,
  context: VerdictContext,
): string | undefined {
  return blockedBecause(one, context) ?? (isLocked(one, context) ? undefined : youngBecause(one, publishedMs, context));
}

export function blockedBecause(one: PackageVersion, { rules }: VerdictContext): string | undefined {
  return rules.some(({ block }) => block.some((pattern) => matches(pattern, one, true)))
    ? 'it is on the list "packages.block"'
    : undefined;
}

export function isLocked({ ecosystem, name, version }: PackageVersion, { locked }: VerdictContext): boolean {
  return locked.has(`${ecosystem}:${name}@${version}`);
}

export function youngBecause(
  one: PackageVersion,
  publishedMs: number | undefined,
  { rules, nowMs }: VerdictContext,
): string | undefined {
  const asked = rules.flatMap(({ minAgeMs, allow }) =>
    minAgeMs === undefined || allow.some((pattern) => matches(pattern, one, false)) ? [] : [minAgeMs],
  );
  const minAgeMs = Math.max(0, ...asked);
  if (minAgeMs === 0) {
    return undefined;
  }
  if (publishedMs === undefined || Number.isNaN(publishedMs)) {
    return `the registry does not say when it was published, and "packages.minAge" is ${span(minAgeMs)}`;
  }
  const ageMs = nowMs - publishedMs;
  return ageMs >= minAgeMs
    ? undefined
    : `it was published ${span(Math.max(0, ageMs))} ago, and "packages.minAge" is ${span(minAgeMs)}`;
}

const dayMs = 86_400_000;

function span(ms: number): string {
  const days = Math.floor(ms / dayMs);
  return days < 2 ? formatDuration(ms) : `${days} days`;
}

/** `whenUnclear`: of a version that cannot be compared with a range. */
function matches({ ecosystem, name, range }: PackagePattern, one: PackageVersion, whenUnclear: boolean): boolean {
  return (
    (ecosystem === undefined || ecosystem === one.ecosystem) &&
    isNamed(one.ecosystem === 'pypi' ? canonicalPypi(name) : name, one.name) &&
    (range === undefined || isIn(range, one, whenUnclear))
  );
}

function isNamed(pattern: string, name: string): boolean {
  const [first = '', ...rest] = pattern.split('*');
  if (rest.length === 0) {
    return pattern === name;
  }
  const last = rest.at(-1) ?? '';
  let at = first.length;
  const middle = rest.slice(0, -1).every((part) => {
    const found = name.indexOf(part, at);
    at = found + part.length;
    return found !== -1;
  });
  return middle && name.startsWith(first) && name.endsWith(last) && name.length - last.length >= at;
}

/** A list of what is bad is not evaded by the form of a version, and one of what is good not entered by it. */
function isIn(range: string, { ecosystem, version }: PackageVersion, whenUnclear: boolean): boolean {
  if (ecosystem === 'npm') {
    return semver.valid(version) === null ? whenUnclear : semver.satisfies(version, range, { includePrerelease: true });
  }
  try {
    return satisfiesPep440(version, /^[\d]/.test(range) ? `==${range}` : range, { prereleases: true });
  } catch {
    return whenUnclear;
  }
}

/** PEP 503. */
export function canonicalPypi(name: string): string {
  return name.toLowerCase().replaceAll(/[-_.]+/g, '-');
}
