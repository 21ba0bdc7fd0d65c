import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';

import { asObject, parseJson } from '../../base/json.ts';
import { gather } from '../../base/gather.ts';
import { ecosystems, type Ecosystem } from '../../policy/guards.ts';
import type { Exchange } from '../exchange.ts';
import { tokensOf, valuesOf, type Field } from '../http/fields.ts';
import type { Plan } from '../exchange/judge.ts';
import type { LiveSandbox, Site } from '../live-sandbox.ts';
import { filterNpm } from './npm-metadata.ts';
import { createPackageMemory, type PackageMemory } from './package-memory.ts';
import { packageRequest, type PackageRequest } from './package-request.ts';
import { blockedBecause, isLocked, withheldBecause, youngBecause, type VerdictContext } from './package-verdict.ts';
import { filterHtml, filterProject, filterSimple, uploadsIn } from './pypi-metadata.ts';
import type { Detail } from '../records.ts';
import { refuse, type Refusal } from '../refusal.ts';
import type { UpstreamAnswer } from '../upstream/upstream.ts';

/** Answers of package registries: versions that are too young or on a list are not offered, and their archives not given. */
export interface PackageGuard {
  /** the request's fields, so that the answer says when versions were published */
  readonly fields: readonly Field[];
  /** whether the answer has to be in the clear */
  readonly reads: boolean;
  readonly answered: (answer: UpstreamAnswer, fetch: FetchMore) => Promise<PackageAnswer | Refusal>;
}

export interface PackageAnswer {
  readonly answer: UpstreamAnswer;
  readonly detail: Detail;
}

/** Another document of the same host, with the same credential; `undefined`: it cannot be had. */
export type FetchMore = (target: string, accept: string) => Promise<Buffer | undefined>;

/** Metadata is held as a whole, so that nothing of it is handed on before it was read. */
export const greatestMetadataBytes = 128 * 1024 * 1024;
const greatestHeldBytes = 256 * 1024 * 1024;

interface Keeping {
  readonly memory: PackageMemory;
  heldBytes: number;
}

const keepings = new WeakMap<LiveSandbox, Keeping>();

function keepingOf(live: LiveSandbox): Keeping {
  const keeping = keepings.get(live) ?? { memory: createPackageMemory(), heldBytes: 0 };
  keepings.set(live, keeping);
  return keeping;
}

interface Asked {
  readonly exchange: Exchange;
  readonly live: LiveSandbox;
  readonly request: PackageRequest;
  readonly context: VerdictContext;
}

/** `undefined`: no package is asked for, or no rule is about packages. A refusal: it is withheld, and nothing is sent. */
export function packageGuard(exchange: Exchange, site: Site, plan: Plan): PackageGuard | Refusal | undefined {
  const { live } = site;
  const { guarding } = live.sandbox;
  const ecosystem = ecosystemOf(exchange, site, plan);
  if (guarding === undefined || guarding.rules.packages.length === 0 || ecosystem === undefined) {
    return undefined;
  }
  const request = packageRequest(ecosystem, plan.head.path);
  if (request === undefined || (exchange.method !== 'GET' && exchange.method !== 'HEAD')) {
    return undefined;
  }
  const context = { rules: guarding.rules.packages, locked: guarding.locked, nowMs: live.clock.nowMs() };
  const asked: Asked = { exchange, live, request, context };
  return request.kind === 'metadata' ? metadataGuard(asked) : archiveGuard(asked, request);
}

/** Known by the preset that names the host, by the policy's list, or by what the client says it wants. */
function ecosystemOf({ fields }: Exchange, { host, live }: Site, { rule, head }: Plan): Ecosystem | undefined {
  const registries = live.sandbox.guarding?.rules.registries ?? [];
  const accepted = tokensOf(fields, 'accept');
  const [first, second] = ecosystems.filter(
    (one) =>
      (rule.origin.layer === 'preset' && rule.origin.source === one) ||
      registries.some((registry) => registry.host === host && registry.ecosystem === one) ||
      accepted.some((type) => type.startsWith(vendorTypes[one])),
  );
  if (second === undefined) {
    return first;
  }
  // A host of both: every path of npm could be metadata, those of Python are known by their form.
  return packageRequest('pypi', head.path) === undefined || head.path.includes('/-/') ? 'npm' : 'pypi';
}

const vendorTypes: Readonly<Record<Ecosystem, string>> = {
  npm: 'application/vnd.npm.install',
  pypi: 'application/vnd.pypi.simple',
};

const conditional = new Set([
  'if-none-match',
  'if-modified-since',
  'if-match',
  'if-unmodified-since',
  'range',
  'if-range',
  'accept-encoding',
  'accept',
]);
const simpleJson = 'application/vnd.pypi.simple.v1+json';

function metadataGuard(asked: Asked): PackageGuard {
  const { exchange, request } = asked;
  const isSimple = request.ecosystem === 'pypi' && /\/simple\//.test(exchange.target);
  // The short form of npm does not say when versions were published.
  const accept = isSimple ? `${simpleJson}, text/html;q=0.1` : 'application/json';
  const kept = exchange.fields.filter(([name]) => !conditional.has(name));
  return {
    fields: [...kept, ['accept', accept], ['accept-encoding', 'gzip']],
    reads: true,
    answered: (answer, fetch) => filterAnswer(answer, asked, fetch),
  };
}

async function filterAnswer(answer: UpstreamAnswer, asked: Asked, fetch: FetchMore): Promise<PackageAnswer | Refusal> {
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
  if (!/json$|^text\/html$|^application\/vnd\.pypi/.test(type)) {
    return { answer, detail: {} };
  }
  const keeping = keepingOf(live);
  const document = await collect(answer, keeping);
  if (!Buffer.isBuffer(document)) {
    return document;
  }
  try {
    return await filterDocument(document, { answer, asked, fetch, type });
  } finally {
    keeping.heldBytes -= document.length;
  }
}

interface Filtering {
  readonly answer: UpstreamAnswer;
  readonly asked: Asked;
  readonly fetch: FetchMore;
  readonly type: string;
}

interface Filtered {
  readonly name: string;
  readonly body: Buffer;
  readonly type: string;
  readonly withheld: ReadonlyMap<string, string>;
  readonly offered: readonly string[];
}

async function filterDocument(document: Buffer, filtering: Filtering): Promise<PackageAnswer | Refusal> {
  const { answer, asked } = filtering;
  const { live, context, request } = asked;
  const found = request.ecosystem === 'npm' ? npmDocument(document, filtering) : await pypiDocument(document, filtering);
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
  return { answer: answerWith(answer, found, asked), detail: found.withheld.size === 0 ? {} : { withheld: found.withheld.size } };
}

function npmDocument(document: Buffer, { asked }: Filtering): Filtered | undefined {
  const found = filterNpm(document, asked.context);
  return found === undefined ? undefined : { ...found, type: 'application/json' };
}

async function pypiDocument(document: Buffer, { asked, type, fetch }: Filtering): Promise<Filtered | undefined> {
  const { exchange, context, request } = asked;
  if (type === 'text/html') {
    const project = (request.kind === 'metadata' ? request.project : undefined) ?? '';
    const other = exchange.target.replace(/\/simple\/([^/?]+)\/?(?:\?.*)?$/, '/pypi/$1/json');
    const more = other === exchange.target ? undefined : await fetch(other, 'application/json');
    return filterHtml(document, { project, uploads: more === undefined ? new Map() : uploadsIn(more), context });
  }
  const accepted = tokensOf(exchange.fields, 'accept').map((one) => one.split(';')[0]);
  const asHtml =
    accepted.length > 0 && !accepted.includes(simpleJson) && !accepted.includes('*/*') && !accepted.includes('application/json');
  return filterSimple(document, { context, asHtml }) ?? filterProject(document, context);
}

/** One version by itself (`/NAME/VERSION`): its name and version are in it, when it was published is not. */
async function unknownDocument(document: Buffer, { answer, asked, fetch }: Filtering): Promise<PackageAnswer | Refusal> {
  const { exchange, context, live } = asked;
  const value = asObject(parseJson(document.toString('utf8')));
  const { name, version, dist } = value;
  if (asked.request.ecosystem !== 'npm' || typeof name !== 'string' || typeof version !== 'string' || dist === undefined) {
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
async function reasonFor(
  { name, version, metadata }: Wanted,
  { live, context, fetch }: { readonly live: LiveSandbox; readonly context: VerdictContext; readonly fetch: FetchMore },
): Promise<string | undefined> {
  const { memory } = keepingOf(live);
  const key = `npm:${name}@${version}`;
  if (memory.judgement(key, context.nowMs) === undefined && metadata !== undefined) {
    const document = await fetch(metadata, 'application/json');
    const found = document === undefined ? undefined : filterNpm(document, context);
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

function archiveGuard(asked: Asked, request: Extract<PackageRequest, { kind: 'archive' }>): PackageGuard | Refusal {
  const { exchange, live, context } = asked;
  const { ecosystem, name, version, file } = request;
  const one = { ecosystem, name, version };
  const key = ecosystem === 'npm' ? `npm:${name}@${version}` : `pypi:${file}`;
  const judged = keepingOf(live).memory.judgement(key, context.nowMs);
  const blocked = blockedBecause(one, context);
  const known = blocked ?? (isLocked(one, context) ? undefined : typeof judged === 'object' ? judged.reason : undefined);
  if (known !== undefined) {
    return withheldRefusal(name, version, known);
  }
  return {
    fields: exchange.fields,
    reads: false,
    async answered(answer, fetch) {
      const publishedMs = Date.parse(valuesOf(answer.fields, 'last-modified').join());
      const young = youngBecause(one, publishedMs, context);
      if (young === undefined || answer.status >= 400 || answer.status === 304) {
        return { answer, detail: {} };
      }
      if (isLocked(one, context)) {
        return { answer, detail: { locked: true } };
      }
      if (judged === 'offered') {
        return { answer, detail: {} };
      }
      const reason = ecosystem === 'npm' ? await reasonFor(request, { live, context, fetch }) : young;
      return reason === undefined ? { answer, detail: {} } : withheldRefusal(name, version, reason);
    },
  };
}

function withheldRefusal(name: string, version: string, why: string): Refusal {
  return refuse('package-withheld', `${name} ${version} is withheld: ${why}`);
}

function unread({ body }: UpstreamAnswer, what: string): Refusal {
  body.destroy();
  return refuse('bad-answer', `the registry ${what}, so versions that must be withheld cannot be told`);
}

async function collect({ body, isWhole }: UpstreamAnswer, keeping: Keeping): Promise<Buffer | Refusal> {
  const parts = gather();
  let length = 0;
  try {
    for await (const piece of body as AsyncIterable<Buffer>) {
      parts.add(piece);
      length += piece.length;
      keeping.heldBytes += piece.length;
      if (length > greatestMetadataBytes || keeping.heldBytes > greatestHeldBytes) {
        keeping.heldBytes -= length;
        body.destroy();
        return length > greatestMetadataBytes
          ? refuse(
              'bad-answer',
              `the metadata is larger than ${greatestMetadataBytes / 1024 ** 2} MiB, so it cannot be read as a whole`,
            )
          : refuse('too-busy', 'too much metadata of packages is read at the same time');
      }
    }
  } catch {
    keeping.heldBytes -= length;
    return refuse('bad-answer', 'the metadata broke off');
  }
  if (!isWhole()) {
    keeping.heldBytes -= length;
    return refuse('bad-answer', 'the metadata broke off');
  }
  return parts.take();
}

/** For what is asked besides; `undefined` unless it is there as a whole. */
export async function wholeBody(answer: UpstreamAnswer): Promise<Buffer | undefined> {
  const keeping: Keeping = { memory: createPackageMemory(), heldBytes: 0 };
  const document = answer.status === 200 ? await collect(answer, keeping) : undefined;
  if (!Buffer.isBuffer(document)) {
    answer.body.destroy();
    return undefined;
  }
  return document;
}

/** Validators of the registry are about another document than the one that is handed on. */
function withoutValidators(fields: readonly Field[]): readonly Field[] {
  const dropped = new Set([
    'etag',
    'last-modified',
    'content-length',
    'content-encoding',
    'content-md5',
    'digest',
    'repr-digest',
    'accept-ranges',
  ]);
  return fields.filter(([name]) => !dropped.has(name));
}

function answerWith(answer: UpstreamAnswer, found: Filtered, { exchange, request }: Asked): UpstreamAnswer {
  const kept = withoutValidators(answer.fields).filter(
    ([name]) => name !== 'content-type' && name !== 'npm-notice' && (found.withheld.size === 0 || name !== 'cache-control'),
  );
  const etag = `"casemate-${createHash('sha256').update(found.body).digest('base64url').slice(0, 27)}"`;
  const own: readonly Field[] = found.withheld.size === 0 ? [] : [['x-casemate-withheld', withheldLine(found)]];
  const fields: Field[] = [...kept, ['content-type', found.type], ['etag', etag], ...told(found, request.ecosystem)];
  if (valuesOf(exchange.fields, 'if-none-match').some((value) => value.includes(etag))) {
    return { ...again(answer, Buffer.alloc(0)), status: 304, fields, own };
  }
  return { ...again(answer, found.body), own, fields: [...fields, ['content-length', String(found.body.length)]] };
}

/** `npm-notice` is what npm shows to whoever runs it. */
function told(found: Filtered, ecosystem: Ecosystem): readonly Field[] {
  if (found.withheld.size === 0) {
    return [];
  }
  // What npm keeps in its cache it shows no notice of, and a version that comes of age should be seen at once.
  const fields: Field[] = [['cache-control', 'no-store']];
  return ecosystem === 'npm' ? [...fields, ['npm-notice', withheldLine(found)]] : fields;
}

function withheldLine({ name, withheld }: Filtered): string {
  const rows = [...withheld].slice(-3).map(([one, why]) => `${one} (${why})`);
  const more = withheld.size > rows.length ? ` and ${withheld.size - rows.length} more` : '';
  return `casemate withholds of ${name}: ${rows.join('; ')}${more}`.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, 1000);
}

function again(answer: UpstreamAnswer, body: Buffer): UpstreamAnswer {
  return { ...answer, body: Readable.from([body], { objectMode: false }), isWhole: () => true };
}
