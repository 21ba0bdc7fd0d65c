import { canonicalHost } from '../../base/host.ts';
import { queryJournal, sandboxIds } from '../../journal/query.ts';
import type { JournalRecord } from '../../journal/record.ts';
import { listSegments } from '../../journal/segments.ts';
import type { DeniedRequest } from '../../policy/proposing/grant-rule.ts';

/** What sandboxes asked for and a rule could allow, from the journal. */
export interface JournalRequests {
  readonly requests: readonly DeniedRequest[];
  /** how often each was asked, by its place in `requests` */
  readonly counts: readonly number[];
  /** requests of a flood that the journal only counted: their paths are not known */
  readonly onlyCounted: number;
  /** places that were connected to on a port of the web, and nothing was asked */
  readonly silent: readonly { readonly host: string; readonly port: number }[];
}

const askable = new Set(['host-not-allowed', 'port-not-allowed', 'function-not-allowed']);
/** different requests that are looked at; a sandbox that asks for more is not one that is learned from */
const most = 20_000;

/** `folder` is the journal's; `which`: denials alone, or also what `learn` let through or answered itself. */
export async function requestsFromJournal(
  folder: string,
  sandbox: string,
  which: 'denied' | 'learned',
): Promise<JournalRequests> {
  const segments = await listSegments(folder);
  const sandboxes = await sandboxIds(segments, sandbox);
  const found = new Map<string, { request: DeniedRequest; count: number }>();
  const silent = new Map<string, { readonly host: string; readonly port: number }>();
  let onlyCounted = 0;
  for await (const { record } of queryJournal(segments, { filters: { sandboxes, action: 'net.exchange' } })) {
    const request = isWanted(record, which) ? requestOf(record) : undefined;
    const repeated = record.detail?.['repeated'];
    if (request === undefined) {
      continue;
    }
    if (typeof repeated === 'number') {
      onlyCounted += repeated;
    } else if (record.detail?.['asked'] === false || record.outcome === 'handshake-broken') {
      silent.set(record.subject, { host: request.host, port: request.port });
    } else if (found.size < most) {
      const key = JSON.stringify(request);
      const known = found.get(key);
      found.set(key, { request, count: (known?.count ?? 0) + 1 });
    }
  }
  const all = [...found.values()];
  return {
    requests: all.map(({ request }) => request),
    counts: all.map(({ count }) => count),
    onlyCounted,
    silent: [...silent.values()],
  };
}

/** The denied request that an answer gave this id (`ask-...`), whether or not its sandbox still runs. */
export async function requestOfId(folder: string, id: string): Promise<DeniedRequest | undefined> {
  const filters = { action: 'net.exchange', decision: 'deny', text: id } as const;
  for await (const { record } of queryJournal(await listSegments(folder), { filters })) {
    if (record.detail?.['ask'] === id && isWanted(record, 'denied')) {
      return requestOf(record);
    }
  }
  return undefined;
}

function isWanted({ decision, outcome, rule }: JournalRecord, which: 'denied' | 'learned'): boolean {
  return (
    (decision === 'deny' && (askable.has(outcome) || outcome === 'handshake-broken')) ||
    (which === 'learned' && rule?.startsWith('learn:') === true)
  );
}

function requestOf({ subject, detail }: JournalRecord): DeniedRequest | undefined {
  const match = /^(.+):(\d{1,5})$/.exec(subject);
  const host = canonicalHost(match?.[1] ?? '');
  const port = Number(match?.[2]);
  if (host === undefined || host !== match?.[1] || port < 1 || port > 65_535) {
    return undefined;
  }
  const { method, path } = detail ?? {};
  return typeof method === 'string' && typeof path === 'string'
    ? { host, port, method, path }
    : { host, port, method: undefined, path: undefined };
}
