import semver from 'semver';

import { asObject } from '../../base/json.ts';
import { joined } from '../http/joined.ts';
import { memberRanges, valueIn, type MemberRange } from '../http/json-ranges.ts';
import { isLocked, withheldBecause, youngBecause, type VerdictContext } from './package-verdict.ts';

/** Removes the withheld versions from a registry's metadata of an npm package. What remains is unchanged to the byte. */
export interface NpmMetadata {
  readonly name: string;
  readonly body: Buffer;
  /** version to reason */
  readonly withheld: ReadonlyMap<string, string>;
  readonly offered: readonly string[];
}

/** `undefined`: the document is not the metadata of a package. For `inTurns`: some are tens of megabytes. */
export function* filterNpm(document: Buffer, context: VerdictContext): Generator<void, NpmMetadata | undefined, void> {
  const members = new Map((yield* memberRanges(document))?.map((member) => [member.name, member]));
  const versions = members.get('versions');
  const name = read(document, members.get('name'));
  if (versions === undefined || typeof name !== 'string') {
    return undefined;
  }
  const ranges = (yield* memberRanges(document, versions.valueStart)) ?? [];
  const times = asObject(read(document, members.get('time')));
  const withheld = new Map<string, string>();
  /** offered for the sake of a lock file, and not to be chosen anew */
  const locked = new Set<string>();
  for (const { name: version } of ranges) {
    yield;
    const published = times[version];
    const publishedMs = typeof published === 'string' ? Date.parse(published) : undefined;
    const one = { ecosystem: 'npm', name, version } as const;
    const why = withheldBecause(one, publishedMs, context);
    if (why !== undefined) {
      withheld.set(version, why);
    } else if (isLocked(one, context) && youngBecause(one, publishedMs, context) !== undefined) {
      locked.add(version);
    }
  }
  const kept = ranges.filter((range) => !withheld.has(range.name));
  const offered = kept.map((range) => range.name);
  const tags = yield* tagsFor(asObject(read(document, members.get('dist-tags'))), { offered, withheld, locked });
  const replaced = new Map<string, readonly Buffer[]>([
    ['versions', objectOf(document, kept)],
    ['dist-tags', [Buffer.from(JSON.stringify(tags))]],
    [
      'time',
      [Buffer.from(JSON.stringify(Object.fromEntries(Object.entries(times).filter(([version]) => !withheld.has(version)))))],
    ],
  ]);
  return { name, body: yield* withReplaced(document, [...members.values()], replaced), withheld, offered };
}

function objectOf(document: Buffer, members: readonly MemberRange[]): readonly Buffer[] {
  return [
    Buffer.from('{'),
    ...members.flatMap(({ from, end }, index) => [Buffer.from(index === 0 ? '' : ','), document.subarray(from, end)]),
    Buffer.from('}'),
  ];
}

function withReplaced(
  document: Buffer,
  members: readonly MemberRange[],
  replaced: ReadonlyMap<string, readonly Buffer[]>,
): Generator<void, Buffer, void> {
  const parts = members.flatMap(({ name, from, valueStart, end }, index) => {
    const value = replaced.get(name);
    const comma = Buffer.from(index === 0 ? '' : ',');
    return value === undefined ? [comma, document.subarray(from, end)] : [comma, document.subarray(from, valueStart), ...value];
  });
  return joined([Buffer.from('{'), ...parts, Buffer.from('}')]);
}

interface Tagging {
  readonly offered: readonly string[];
  readonly withheld: ReadonlyMap<string, string>;
  readonly locked: ReadonlySet<string>;
}

/** `latest` moves to the newest that is offered and was not newer than it; other tags on withheld versions are left out. */
function* tagsFor(
  tags: Readonly<Record<string, unknown>>,
  { offered, withheld, locked }: Tagging,
): Generator<void, Record<string, unknown>, void> {
  const kept = Object.entries(tags).filter(
    ([tag, version]) => tag !== 'latest' && typeof version === 'string' && !withheld.has(version),
  );
  const latest = tags['latest'];
  if (typeof latest !== 'string' || (!withheld.has(latest) && !locked.has(latest))) {
    return latest === undefined ? Object.fromEntries(kept) : { ...Object.fromEntries(kept), latest };
  }
  const newest = yield* newestOf(
    offered.filter((version) => !locked.has(version)),
    latest,
  );
  return newest === undefined ? Object.fromEntries(kept) : { ...Object.fromEntries(kept), latest: newest };
}

/** The newest that is not newer than `latest`, or the newest of all; one pass, because a comparison reads both versions. */
function* newestOf(versions: readonly string[], latest: string): Generator<void, string | undefined, void> {
  const before = semver.parse(latest);
  let newest: semver.SemVer | undefined;
  let notNewer: semver.SemVer | undefined;
  for (const version of versions) {
    yield;
    const one = semver.parse(version);
    if (one?.prerelease.length === 0) {
      newest = greater(one, newest);
      notNewer = before === null || one.compare(before) <= 0 ? greater(one, notNewer) : notNewer;
    }
  }
  // As it is written in the document.
  return (notNewer ?? newest)?.raw;
}

function greater(one: semver.SemVer, other: semver.SemVer | undefined): semver.SemVer {
  return other === undefined || one.compare(other) > 0 ? one : other;
}

function read(document: Buffer, member: MemberRange | undefined): unknown {
  return member === undefined ? undefined : valueIn(document, member);
}
