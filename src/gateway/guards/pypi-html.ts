import { asObject, type JsonFields } from '../../base/json.ts';
import { joined } from '../http/joined.ts';
import type { FilteredMetadata } from './package-answer.ts';
import { withheldBecause, type VerdictContext } from './package-verdict.ts';
import { versionOf } from './python-file-name.ts';

/** From the older form, where another document says when each file was uploaded. */
export function* filterHtml(
  document: Buffer,
  {
    project,
    uploads,
    context,
  }: { readonly project: string; readonly uploads: ReadonlyMap<string, number>; readonly context: VerdictContext },
): Generator<void, FilteredMetadata, void> {
  const withheld = new Map<string, string>();
  const offered: string[] = [];
  const html = document.toString('utf8');
  const parts: Buffer[] = [];
  let at = 0;
  for (const { start, end, attributes } of anchorsIn(html)) {
    // The name in the address counts: it is what installers read.
    const filename = fileNameIn(attributes);
    const one = { ecosystem: 'pypi', name: project, version: versionOf(filename, project) } as const;
    const why = withheldBecause(one, uploads.get(filename), context);
    if (why === undefined) {
      offered.push(filename);
    } else {
      withheld.set(filename, why);
    }
    parts.push(Buffer.from(html.slice(at, why === undefined ? end : start)));
    at = end;
    yield;
  }
  parts.push(Buffer.from(html.slice(at)));
  return { name: project, body: yield* joined(parts), type: 'text/html; charset=utf-8', withheld, offered };
}

interface Anchor {
  readonly start: number;
  readonly end: number;
  readonly attributes: string;
}

/** One that is never closed ends where the next begins, as a browser has it; each byte is looked at a bounded number of times. */
function* anchorsIn(html: string): Generator<Anchor, void, void> {
  const opening = /<a\b/gi;
  const closing = /<\/a\s*>/gi;
  let closed = { start: -1, end: -1 };
  for (let open = opening.exec(html); open !== null;) {
    const tagEnd = html.indexOf('>', open.index);
    if (tagEnd === -1) {
      // No installer reads a tag that does not end.
      return;
    }
    // What looks like another tag before that is a part of this one.
    opening.lastIndex = tagEnd;
    const next = opening.exec(html);
    if (closed.start < tagEnd) {
      closing.lastIndex = tagEnd;
      const found = closing.exec(html);
      closed = { start: found?.index ?? html.length, end: found === null ? html.length : closing.lastIndex };
    }
    const end = Math.max(tagEnd + 1, Math.min(closed.end, next?.index ?? html.length));
    yield { start: open.index, end, attributes: html.slice(open.index + 2, tagEnd) };
    open = next;
  }
}

function fileNameIn(attributes: string): string {
  const [, double, single, bare] = /(?:^|[\s"'/])href\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))/i.exec(attributes) ?? [];
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

export function anchorFor(file: JsonFields): string {
  const [algorithm, digest] = Object.entries(asObject(file['hashes'])).map(([key, value]) => [key, textOf(value)])[0] ?? [];
  const attributes = [
    ['href', `${textOf(file['url'])}${algorithm === undefined ? '' : `#${algorithm}=${digest ?? ''}`}`],
    ...(typeof file['requires-python'] === 'string' ? [['data-requires-python', file['requires-python']]] : []),
    ...(file['yanked'] === undefined || file['yanked'] === false ? [] : [['data-yanked', textOf(file['yanked'])]]),
    ...(file['core-metadata'] === undefined || file['core-metadata'] === false ? [] : [['data-core-metadata', 'true']]),
  ];
  const written = attributes.map(([key = '', value = '']) => ` ${key}="${escaped(value)}"`).join('');
  return `<a${written}>${escaped(textOf(file['filename']))}</a><br/>\n`;
}

/** A page of the index (PEP 503) with these anchors. */
export function pageParts(name: string, anchors: readonly string[]): readonly Buffer[] {
  const title = `<title>Links for ${escaped(name)}</title>`;
  const head = `<!DOCTYPE html><html><head><meta name="pypi:repository-version" content="1.0">${title}</head><body>\n`;
  return [head, ...anchors, '</body></html>\n'].map((part) => Buffer.from(part));
}

function escaped(value: string): string {
  return value.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
