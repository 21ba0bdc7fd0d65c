import { rcompare } from '@renovatebot/pep440';

import { asObject, parseJson, type JsonFields } from '../../base/json.ts';
import { canonicalPypi, withheldBecause, type VerdictContext } from './package-verdict.ts';

/** What an index says of one Python project (PEP 503, 691, 700, and the JSON interface), without what is withheld. */
export interface PypiMetadata {
  readonly name: string;
  readonly body: Buffer;
  readonly type: string;
  /** file name or version to reason */
  readonly withheld: ReadonlyMap<string, string>;
  /** file names */
  readonly offered: readonly string[];
}

const simpleJson = 'application/vnd.pypi.simple.v1+json';

/** From the JSON form of the index. `asHtml`: the asker reads only the other form. */
export function filterSimple(
  document: Buffer,
  { context, asHtml }: { readonly context: VerdictContext; readonly asHtml: boolean },
): PypiMetadata | undefined {
  const top = objectIn(document);
  const { name, files } = top ?? {};
  if (top === undefined || typeof name !== 'string' || !Array.isArray(files)) {
    return undefined;
  }
  const project = canonicalPypi(name);
  const judged = files
    .map(asObject)
    .map((file) => ({ file, filename: text(file['filename']), why: whyOf(project, file, context) }));
  const kept = judged.filter(({ why }) => why === undefined).map(({ file }) => file);
  const withheld = new Map(judged.flatMap(({ filename, why }) => (why === undefined ? [] : [[filename, why]])));
  const offered = kept.map((file) => text(file['filename']));
  const versions = new Set(offered.map((filename) => versionOf(filename, project)));
  const listed = Array.isArray(top['versions']) ? { versions: top['versions'].filter((one) => versions.has(text(one))) } : {};
  const shown = { ...top, files: kept, ...listed };
  const body = Buffer.from(asHtml ? html(name, kept) : JSON.stringify(shown));
  return { name: project, body, type: asHtml ? 'text/html; charset=utf-8' : simpleJson, withheld, offered };
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

/** From the older form, where another document says when each file was uploaded. */
export function filterHtml(
  document: Buffer,
  {
    project,
    uploads,
    context,
  }: { readonly project: string; readonly uploads: ReadonlyMap<string, number>; readonly context: VerdictContext },
): PypiMetadata {
  const withheld = new Map<string, string>();
  const offered: string[] = [];
  // The name in the address counts: it is what installers read.
  const body = document.toString('utf8').replaceAll(/<a\b([^>]*)>[\s\S]*?<\/a\s*>/gi, (anchor, attributes: string) => {
    const filename = fileNameIn(attributes);
    const one = { ecosystem: 'pypi', name: project, version: versionOf(filename, project) } as const;
    const why = withheldBecause(one, uploads.get(filename), context);
    if (why === undefined) {
      offered.push(filename);
      return anchor;
    }
    withheld.set(filename, why);
    return '';
  });
  return { name: project, body: Buffer.from(body), type: 'text/html; charset=utf-8', withheld, offered };
}

function fileNameIn(attributes: string): string {
  const [, double, single, bare] = /\bhref\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))/i.exec(attributes) ?? [];
  const path = (double ?? single ?? bare ?? '').split(/[?#]/)[0] ?? '';
  return decoded(path.split('/').at(-1) ?? '');
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

/** From `/pypi/NAME/json`: releases by version; the description is of the newest that is offered. */
export function filterProject(document: Buffer, context: VerdictContext): PypiMetadata | undefined {
  const top = objectIn(document);
  const info = asObject(top?.['info']);
  if (top === undefined || typeof info['name'] !== 'string') {
    return undefined;
  }
  const project = canonicalPypi(info['name']);
  const withheld = new Map<string, string>();
  const why = (version: string, files: unknown): string | undefined =>
    withheldBecause({ ecosystem: 'pypi', name: project, version }, newestUpload(files), context);
  const releases = Object.entries(asObject(top['releases'])).filter(([version, files]) => {
    const reason = why(version, files);
    if (reason !== undefined) {
      withheld.set(version, reason);
    }
    return reason === undefined;
  });
  const present = text(info['version']);
  const reason = why(present, top['urls']);
  if (reason !== undefined) {
    withheld.set(present, reason);
  }
  const newest = releases.map(([version]) => version).toSorted(byVersion)[0];
  const files = releases.find(([version]) => version === newest)?.[1];
  const moved = reason === undefined ? {} : { info: { ...info, version: newest ?? null }, urls: files ?? [] };
  const listed = 'releases' in top ? { releases: Object.fromEntries(releases) } : {};
  const body = Buffer.from(JSON.stringify({ ...top, ...moved, ...listed }));
  return { name: project, body, type: 'application/json', withheld, offered: releases.map(([version]) => version) };
}

/** When each file of `/pypi/NAME/json` was uploaded, by its name. */
export function uploadsIn(document: Buffer): ReadonlyMap<string, number> {
  const files = Object.values(asObject(objectIn(document)?.['releases'])).flatMap((list) => (Array.isArray(list) ? list : []));
  return new Map(files.map(asObject).map((file) => [text(file['filename']), Date.parse(text(file['upload_time_iso_8601']))]));
}

function newestUpload(files: unknown): number | undefined {
  const times = (Array.isArray(files) ? files : []).map(asObject).map((file) => Date.parse(text(file['upload_time_iso_8601'])));
  return times.length === 0 ? undefined : Math.max(...times);
}

function byVersion(left: string, right: string): number {
  try {
    return rcompare(left, right);
  } catch {
    return 0;
  }
}

/** The version in the name of a wheel or a source archive; empty where there is none. */
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

function html(name: string, files: readonly JsonFields[]): string {
  const rows = files.map((file) => {
    const [algorithm, digest] = Object.entries(asObject(file['hashes'])).map(([key, value]) => [key, text(value)])[0] ?? [];
    const attributes = [
      ['href', `${text(file['url'])}${algorithm === undefined ? '' : `#${algorithm}=${digest ?? ''}`}`],
      ...(typeof file['requires-python'] === 'string' ? [['data-requires-python', file['requires-python']]] : []),
      ...(file['yanked'] === undefined || file['yanked'] === false ? [] : [['data-yanked', text(file['yanked'])]]),
      ...(file['core-metadata'] === undefined || file['core-metadata'] === false ? [] : [['data-core-metadata', 'true']]),
    ];
    const written = attributes.map(([key = '', value = '']) => ` ${key}="${escaped(value)}"`).join('');
    return `<a${written}>${escaped(text(file['filename']))}</a><br/>`;
  });
  const title = `<title>Links for ${escaped(name)}</title>`;
  return `<!DOCTYPE html><html><head><meta name="pypi:repository-version" content="1.0">${title}</head><body>\n${rows.join('\n')}\n</body></html>\n`;
}

function escaped(value: string): string {
  return value.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

function objectIn(document: Buffer): JsonFields | undefined {
  const value = parseJson(document.toString('utf8'));
  return typeof value === 'object' && value !== null ? asObject(value) : undefined;
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
