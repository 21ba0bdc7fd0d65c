import { rcompare, valid } from '@renovatebot/pep440';

import { asObject, type JsonFields } from '../../base/json.ts';
import { joined } from '../http/joined.ts';
import { elementRanges, memberRanges, valueIn, type MemberRange } from '../http/json-ranges.ts';
import type { FilteredMetadata } from './package-answer.ts';
import { canonicalPypi, withheldBecause, type VerdictContext } from './package-verdict.ts';
import { pageParts, anchorFor } from './pypi-html.ts';
import { versionOf } from './python-file-name.ts';

/** Removes the withheld versions from what an index says of a Python project (PEP 503, 691, 700, and the JSON API). */
const simpleJson = 'application/vnd.pypi.simple.v1+json';

/** From the JSON form of the index. `asHtml`: the asker reads only the other form. As all here for `inTurns`. */
export function* filterSimple(
  document: Buffer,
  { context, asHtml }: { readonly context: VerdictContext; readonly asHtml: boolean },
): Generator<void, FilteredMetadata | undefined, void> {
  const members = yield* membersOf(document);
  const files = members.get('files');
  const ranges = files === undefined ? undefined : yield* elementRanges(document, files.valueStart);
  const name = read(document, members.get('name'));
  if (typeof name !== 'string' || ranges === undefined) {
    return undefined;
  }
  const project = canonicalPypi(name);
  const withheld = new Map<string, string>();
  const offered: string[] = [];
  const shown: string[] = [];
  for (const range of ranges) {
    const file = asObject(valueIn(document, range));
    const filename = text(file['filename']);
    const why = whyOf(project, file, context);
    if (why === undefined) {
      offered.push(filename);
      shown.push(asHtml ? anchorFor(file) : JSON.stringify(file));
    } else {
      withheld.set(filename, why);
    }
    yield;
  }
  if (asHtml) {
    return { name: project, body: yield* joined(pageParts(name, shown)), type: 'text/html; charset=utf-8', withheld, offered };
  }
  const versions = new Set(offered.map((filename) => versionOf(filename, project)));
  const listed = read(document, members.get('versions'));
  const replaced = new Map([
    ['files', enclosed('[', shown, ']')],
    ...(Array.isArray(listed)
      ? ([['versions', [Buffer.from(JSON.stringify(listed.filter((one) => versions.has(text(one)))))]]] as const)
      : []),
  ]);
  return { name: project, body: yield* rebuilt(document, members, replaced), type: simpleJson, withheld, offered };
}

function whyOf(project: string, file: JsonFields, context: VerdictContext): string | undefined {
  const uploaded = text(file['upload-time']);
  const version = versionOf(text(file['filename']), project);
  return withheldBecause(
    { ecosystem: 'pypi', name: project, version },
    uploaded === '' ? undefined : Date.parse(uploaded),
    context,
  );
}

/** From `/pypi/NAME/json`: releases by version; the description is of the newest that is offered. */
export function* filterProject(document: Buffer, context: VerdictContext): Generator<void, FilteredMetadata | undefined, void> {
  const members = yield* membersOf(document);
  const info = asObject(read(document, members.get('info')));
  if (typeof info['name'] !== 'string') {
    return undefined;
  }
  const project = canonicalPypi(info['name']);
  const withheld = new Map<string, string>();
  const why = (version: string, files: unknown): string | undefined => {
    const reason = withheldBecause({ ecosystem: 'pypi', name: project, version }, newestUpload(files), context);
    if (reason !== undefined) {
      withheld.set(version, reason);
    }
    return reason;
  };
  const releases = new Map<string, unknown>();
  for (const range of (yield* memberRanges(document, members.get('releases')?.valueStart ?? document.length)) ?? []) {
    const files = valueIn(document, range);
    if (why(range.name, files) === undefined) {
      releases.set(range.name, files);
    }
    yield;
  }
  const replaced = new Map([['releases', enclosed('{', [...releases].map(jsonMember), '}')]]);
  if (why(text(info['version']), read(document, members.get('urls'))) !== undefined) {
    const newest = yield* newestOf([...releases.keys()]);
    replaced.set('info', [Buffer.from(JSON.stringify({ ...info, version: newest ?? null }))]);
    replaced.set('urls', [Buffer.from(JSON.stringify(newest === undefined ? [] : releases.get(newest)))]);
  }
  const body = yield* rebuilt(document, members, replaced);
  return { name: project, body, type: 'application/json', withheld, offered: [...releases.keys()] };
}

/** When each file of `/pypi/NAME/json` was uploaded, by its name. */
export function* uploadsIn(document: Buffer): Generator<void, ReadonlyMap<string, number>, void> {
  const releases = (yield* membersOf(document)).get('releases');
  const uploads = new Map<string, number>();
  for (const range of (yield* memberRanges(document, releases?.valueStart ?? document.length)) ?? []) {
    const files = valueIn(document, range);
    for (const file of (Array.isArray(files) ? files : []).map(asObject)) {
      uploads.set(text(file['filename']), Date.parse(text(file['upload_time_iso_8601'])));
    }
    yield;
  }
  return uploads;
}

function newestUpload(files: unknown): number | undefined {
  const times = (Array.isArray(files) ? files : []).map(asObject).map((file) => Date.parse(text(file['upload_time_iso_8601'])));
  return times.length === 0 ? undefined : Math.max(...times);
}

/** The first where none is a version by PEP 440; one pass, because a comparison reads both. */
function* newestOf(versions: readonly string[]): Generator<void, string | undefined, void> {
  let newest: string | undefined;
  for (const version of versions) {
    yield;
    if (valid(version) !== null && (newest === undefined || rcompare(version, newest) < 0)) {
      newest = version;
    }
  }
  return newest ?? versions[0];
}

/** By name; where one stands twice the last counts, as for those who read it. */
function* membersOf(document: Buffer): Generator<void, ReadonlyMap<string, MemberRange>, void> {
  return new Map((yield* memberRanges(document))?.map((member) => [member.name, member]));
}

function read(document: Buffer, member: MemberRange | undefined): unknown {
  return member === undefined ? undefined : valueIn(document, member);
}

/** The document with other values for some of its members, each member once. */
function* rebuilt(
  document: Buffer,
  members: ReadonlyMap<string, MemberRange>,
  replaced: ReadonlyMap<string, readonly Buffer[]>,
): Generator<void, Buffer, void> {
  const parts: Buffer[] = [Buffer.from('{')];
  for (const member of members.values()) {
    const value = replaced.get(member.name) ?? [Buffer.from(JSON.stringify(valueIn(document, member) ?? null))];
    parts.push(Buffer.from(`${parts.length === 1 ? '' : ','}${JSON.stringify(member.name)}:`), ...value);
    yield;
  }
  return yield* joined([...parts, Buffer.from('}')]);
}

function jsonMember([name, value]: readonly [string, unknown]): string {
  return `${JSON.stringify(name)}:${JSON.stringify(value ?? null)}`;
}

function enclosed(open: string, items: readonly string[], close: string): readonly Buffer[] {
  const inner = items.map((item, index) => Buffer.from(index === 0 ? item : `,${item}`));
  return [Buffer.from(open), ...inner, Buffer.from(close)];
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
