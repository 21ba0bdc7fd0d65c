import type { Exchange } from '../exchange.ts';
import { tokensOf, valuesOf } from '../http/fields.ts';
import { memberRanges, valueIn } from '../http/json-ranges.ts';
import { inTurns } from '../in-turns.ts';
import type { LiveSandbox } from '../live-sandbox.ts';
import type { Detail } from '../records.ts';
import { refuse, type Refusal } from '../refusal.ts';
import type { UpstreamAnswer } from '../upstream/upstream-request.ts';
import { filterNpm } from './npm-metadata.ts';
import { again, answerWith, withoutValidators, type FilteredMetadata } from './package-answer.ts';
import { keepingOf } from './package-keeping.ts';
import type { PackageRequest } from './package-request.ts';
import { blockedBecause, withheldBecause, type VerdictContext } from './package-verdict.ts';
import { filterHtml } from './pypi-html.ts';
import { filterProject, filterSimple, uploadsIn } from './pypi-metadata.ts';
import { greatestMetadataBytes, readMetadata } from './read-metadata.ts';

/** Package metadata as the registry gave it, and the part of it that a sandbox is shown. */
export interface PackageAnswer {
  readonly answer: UpstreamAnswer;
  readonly detail: Detail;
}

/** Another document of the same host, with the same credential; `undefined`: it cannot be had. */
export type FetchMore = (target: string, accept: string) => Promise<Buffer | undefined>;

export interface Asked {
  readonly exchange: Exchange;
  readonly live: LiveSandbox;
  readonly request: Exclude<PackageRequest, { kind: 'unclear' }>;
  readonly context: VerdictContext;
}

export const simpleJson = 'application/vnd.pypi.simple.v1+json';

/** Answers of a registry without the versions that are withheld; a refusal where that cannot be told. */
export async function filterAnswer(answer: UpstreamAnswer, asked: Asked, fetch: FetchMore): Promise<PackageAnswer | Refusal> {
  const { exchange, live } = asked;
  if (answer.status !== 200) {
    // A part, or "unchanged" of something else, would be unread.
    return answer.status < 300 && exchange.method === 'GET'
      ? unread(answer, 'answered with a part only')
      : { answer, detail: {} };
  }
  if (exchange.method === 'HEAD') {
    return { answer: { ...answer, fields: withoutValidators(answer.fields) }, detail: {} };
  }
  const type = valuesOf(answer.fields, 'content-type').join().split(';')[0]?.trim().toLowerCase() ?? '';
  if (!isDocument(type, answer)) {
    return { answer, detail: {} };
  }
  const keeping = keepingOf(live);
  const document = await readMetadata(answer, keeping);
  if (!Buffer.isBuffer(document)) {
    return document;
  }
  try {
    return await filterDocument(document, { answer, asked, fetch, type });
  } finally {
    keeping.heldBytes -= document.length;
  }
}

/** Metadata as plain servers of files send it is metadata, too. */
function isDocument(type: string, { fields }: UpstreamAnswer): boolean {
  const length = Number(valuesOf(fields, 'content-length')[0] ?? 0);
  return (
    /json$|^text\/html$|^application\/vnd\.pypi/.test(type) ||
    (/^$|^text\/|^(?:application|binary)\/octet-stream$|javascript$/.test(type) && length <= greatestMetadataBytes)
  );
}

interface Filtering {
  readonly answer: UpstreamAnswer;
  readonly asked: Asked;
  readonly fetch: FetchMore;
  readonly type: string;
}

async function filterDocument(document: Buffer, filtering: Filtering): Promise<PackageAnswer | Refusal> {
  const { answer, asked } = filtering;
  const { live, context, request } = asked;
  const found = request.ecosystem === 'npm' ? await npmDocument(document, filtering) : await pypiDocument(document, filtering);
  if (found === undefined) {
    return unknownDocument(document, filtering);
  }
  const key = (one: string): string => (request.ecosystem === 'npm' ? `npm:${found.name}@${one}` : `pypi:${one}`);
  const withheld = new Map([...found.withheld].map(([one, why]) => [key(one), why]));
  keepingOf(live).memory.remember(withheld, found.offered.map(key), context.nowMs);
  if (found.offered.length === 0 && found.withheld.size > 0) {
    const [[version = '', why = ''] = []] = found.withheld;
    return refuse('package-withheld', `no version of ${found.name} is offered: ${version}: ${why}`);
  }
  return {
    answer: await answerWith(answer, found, { exchange: asked.exchange, ecosystem: request.ecosystem }),
    detail: found.withheld.size === 0 ? {} : { withheld: found.withheld.size },
  };
}

async function npmDocument(document: Buffer, { asked }: Filtering): Promise<FilteredMetadata | undefined> {
  const found = await inTurns(filterNpm(document, asked.context));
  return found === undefined ? undefined : { ...found, type: 'application/json' };
}

async function pypiDocument(document: Buffer, { asked, type, fetch }: Filtering): Promise<FilteredMetadata | undefined> {
  const { exchange, context, request } = asked;
  if (type === 'text/html') {
    const project = (request.kind === 'metadata' ? request.project : undefined) ?? '';
    const other = exchange.target.replace(/\/simple\/([^/?]+)\/?(?:\?.*)?$/, '/pypi/$1/json');
    const more = other === exchange.target ? undefined : await fetch(other, 'application/json');
    const uploads = more === undefined ? new Map() : await inTurns(uploadsIn(more));
    keepingOf(asked.live).heldBytes -= more?.length ?? 0;
    return await inTurns(filterHtml(document, { project, uploads, context }));
  }
  const accepted = tokensOf(exchange.fields, 'accept').map((one) => one.split(';')[0]);
  const asHtml =
    accepted.length > 0 && !accepted.includes(simpleJson) && !accepted.includes('*/*') && !accepted.includes('application/json');
  return (await inTurns(filterSimple(document, { context, asHtml }))) ?? (await inTurns(filterProject(document, context)));
}

/** One version by itself (`/NAME/VERSION`): its name and version are in it, when it was published is not. */
async function unknownDocument(document: Buffer, { answer, asked, fetch }: Filtering): Promise<PackageAnswer | Refusal> {
  const { exchange, context, live } = asked;
  const members = asked.request.ecosystem === 'npm' ? ((await inTurns(memberRanges(document))) ?? []) : [];
  const read = (wanted: string): unknown => {
    const member = members.findLast((one) => one.name === wanted);
    return member === undefined ? undefined : valueIn(document, member);
  };
  const [name, version] = [read('name'), read('version')];
  if (typeof name !== 'string' || typeof version !== 'string' || !members.some((one) => one.name === 'dist')) {
    // A list of names, a search, an error: nothing can be installed from it alone.
    return { answer: again(answer, document), detail: {} };
  }
  const metadata = exchange.target.replace(/\/[^/?]+(?:\?.*)?$/, '');
  const reason =
    blockedBecause({ ecosystem: 'npm', name, version }, context) ??
    (await reasonFor({ name, version, metadata }, { live, context, fetch }));
  return reason === undefined ? { answer: again(answer, document), detail: {} } : withheldRefusal(name, version, reason);
}

interface Wanted {
  readonly name: string;
  readonly version: string;
  readonly metadata: string | undefined;
}

/** From what was remembered, or from the metadata asked for now. */
export async function reasonFor(
  { name, version, metadata }: Wanted,
  { live, context, fetch }: { readonly live: LiveSandbox; readonly context: VerdictContext; readonly fetch: FetchMore },
): Promise<string | undefined> {
  const keeping = keepingOf(live);
  const { memory } = keeping;
  const key = `npm:${name}@${version}`;
  if (memory.judgement(key, context.nowMs) === undefined && metadata !== undefined) {
    const document = await fetch(metadata, 'application/json');
    const found = document === undefined ? undefined : await inTurns(filterNpm(document, context));
    keeping.heldBytes -= document?.length ?? 0;
    if (found !== undefined) {
      const named = (one: string): string => `npm:${found.name}@${one}`;
      memory.remember(
        new Map([...found.withheld].map(([one, why]) => [named(one), why])),
        found.offered.map(named),
        context.nowMs,
      );
    }
  }
  const judged = memory.judgement(key, context.nowMs);
  if (judged === 'offered') {
    return undefined;
  }
  return judged?.reason ?? withheldBecause({ ecosystem: 'npm', name, version }, undefined, context);
}

export function withheldRefusal(name: string, version: string, why: string): Refusal {
  return refuse('package-withheld', `${name} ${version} is withheld: ${why}`);
}

function unread({ body }: UpstreamAnswer, what: string): Refusal {
  body.destroy();
  return refuse('bad-answer', `the registry ${what}, so versions that must be withheld cannot be told`);
}
