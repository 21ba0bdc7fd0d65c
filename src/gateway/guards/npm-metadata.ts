import semver from 'semver';

import { asObject } from '../../base/json.ts';
import { memberRanges, valueIn, type MemberRange } from '../http/json-ranges.ts';
import { isLocked, withheldBecause, youngBecause, type VerdictContext } from './package-verdict.ts';

/** What a registry says of one npm package, without the versions that are withheld; what stays stays to the byte. */
export interface NpmMetadata {
  readonly name: string;
  readonly body: Buffer;
  /** version to reason */
  readonly withheld: ReadonlyMap<string, string>;
  readonly offered: readonly string[];
}

/** `undefined`: the document is not the metadata of a package. */
export function filterNpm(document: Buffer, context: VerdictContext): NpmMetadata | undefined {
  const members = new Map(memberRanges(document)?.map((member) => [member.name, member]));
  const versions = members.get('versions');
  const name = read(document, members.get('name'));
  if (versions === undefined || typeof name !== 'string') {
    return undefined;
  }
  const ranges = memberRanges(document, versions.valueStart) ?? [];
  const times = asObject(read(document, members.get('time')));
  const withheld = new Map<string, string>();
  /** offered for the sake of a lock file, and not to be chosen anew */
  const locked = new Set<string>();
  for (const { name: version } of ranges) {
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
  const tags = tagsFor(asObject(read(document, members.get('dist-tags'))), { offered, withheld, locked });
  const replaced = new Map<string, string | Buffer>([
    ['versions', objectOf(document, kept)],
    ['dist-tags', JSON.stringify(tags)],
    ['time', JSON.stringify(Object.fromEntries(Object.entries(times).filter(([version]) => !withheld.has(version))))],
  ]);
  return { name, body: withReplaced(document, [...members.values()], replaced), withheld, offered };
}

function objectOf(document: Buffer, members: readonly MemberRange[]): Buffer {
  return Buffer.concat([
    Buffer.from('{'),
    ...members.flatMap(({ from, end }, index) => [Buffer.from(index === 0 ? '' : ','), document.subarray(from, end)]),
    Buffer.from('}'),
  ]);
}

function withReplaced(document: Buffer, members: readonly MemberRange[], replaced: ReadonlyMap<string, string | Buffer>): Buffer {
  const parts = members.flatMap(({ name, from, valueStart, end }, index) => {
    const value = replaced.get(name);
    const comma = Buffer.from(index === 0 ? '' : ',');
    return value === undefined
      ? [comma, document.subarray(from, end)]
      : [comma, document.subarray(from, valueStart), Buffer.from(value)];
  });
  return Buffer.concat([Buffer.from('{'), ...parts, Buffer.from('}')]);
}

interface Tagging {
  readonly offered: readonly string[];
  readonly withheld: ReadonlyMap<string, string>;
  readonly locked: ReadonlySet<string>;
}

/** `latest` moves to the newest that is offered and was not newer than it; other tags on withheld versions are left out. */
function tagsFor(tags: Readonly<Record<string, unknown>>, { offered, withheld, locked }: Tagging): Record<string, unknown> {
  const kept = Object.entries(tags).filter(
    ([tag, version]) => tag !== 'latest' && typeof version === 'string' && !withheld.has(version),
  );
  const latest = tags['latest'];
  if (typeof latest !== 'string' || (!withheld.has(latest) && !locked.has(latest))) {
    return latest === undefined ? Object.fromEntries(kept) : { ...Object.fromEntries(kept), latest };
  }
  const stable = offered.filter((version) => semver.prerelease(version) === null && semver.valid(version) !== null);
  const free = stable.filter((version) => !locked.has(version));
  const notNewer = free.filter((version) => semver.valid(latest) === null || semver.lte(version, latest));
  const [newest] = (notNewer.length > 0 ? notNewer : free).toSorted(semver.rcompare);
  return newest === undefined ? Object.fromEntries(kept) : { ...Object.fromEntries(kept), latest: newest };
}

function read(document: Buffer, member: MemberRange | undefined): unknown {
  return member === undefined ? undefined : valueIn(document, member);
}
