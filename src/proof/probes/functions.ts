import { randomBytes } from 'node:crypto';

import { ownKeys } from '../attacks/own-keys.ts';
import {
  besideMessages,
  besideReads,
  besideReadsAndPosts,
  methodForms,
  overrides,
  urlencoded,
  type Asked,
} from '../attacks/undeclared.ts';
import { callerIn } from '../clients/caller.ts';
import { http2In } from '../clients/http2-session.ts';
import { requestText } from '../clients/request-text.ts';
import { none } from '../compare.ts';
import { control, type Row } from '../finding.ts';
import { hosts } from '../lab/hosts.ts';
import type { Lab } from '../lab/lab.ts';
import { phantomIn } from '../lab/phantoms.ts';
import { seenRow, settle, unseenRow, watch } from '../oracle.ts';
import type { ProbeTable } from '../probe.ts';

/** What may be done at an allowed host, and in whose name (G14). */

const nonce = (): string => randomBytes(6).toString('hex');
const quick = { quietMs: 1500 } as const;
const atOnce = 12;

interface Ground {
  readonly host: string;
  readonly refused: readonly Asked[];
  readonly legal: Asked;
}

const grounds: readonly Ground[] = [
  { host: hosts.opened, refused: besideMessages, legal: { method: 'POST', target: '/v1/messages' } },
  { host: hosts.forge, refused: besideReads, legal: { method: 'GET', target: '/repos/o/r/issues' } },
  { host: hosts.judged, refused: besideReadsAndPosts, legal: { method: 'POST', target: '/any' } },
];

/** The mark stands in the query, behind whatever the path is. */
function marked({ method, target }: Asked): Asked & { readonly mark: string } {
  const mark = nonce();
  return { method, mark, target: target.includes('#') ? target.replace('#', `?${mark}#`) : `${target}?${mark}` };
}

async function ask(lab: Lab, { host, refused, legal }: Ground): Promise<() => readonly Row[]> {
  const caller = callerIn(lab.twin);
  const oracle = watch(lab.world);
  const tries = refused.map(marked);
  const right = marked(legal);
  const say = ({ method, target }: Asked) =>
    caller.secure({ host }, [requestText({ host, method, target, body: method === 'GET' ? undefined : '{}' })], quick);
  await inTurns([...tries, right], say);
  const rightOverHttp2 = marked(legal);
  const overHttp2 = refused.filter(({ target }) => target.startsWith('/')).map(marked);
  const session = await http2In(caller, { host });
  await Promise.all(
    [...overHttp2, rightOverHttp2].map(({ method, target }) =>
      session.ask({ ':method': method, ':path': target, ':authority': host, ':scheme': 'https' }),
    ),
  );
  session.close();
  return () => [
    ...tries.map(({ method, target, mark }, index) =>
      unseenRow(`${host}: ${method} ${refused[index]?.target ?? target}`, oracle.with(mark)),
    ),
    none(
      `${host}: the same over HTTP/2`,
      overHttp2.filter(({ mark }) => oracle.with(mark).length > 0).map(({ method, target }) => `${method} ${target}`),
    ),
    seenRow(`${host}: ${right.method} ${legal.target}`, oracle.with(right.mark)),
    seenRow(`${host}: ${right.method} ${legal.target} over HTTP/2`, oracle.with(rightOverHttp2.mark)),
  ];
}

/** A few at a time: a handshake is work, and what is late looks as if it had been refused. */
async function inTurns<T>(all: readonly T[], work: (one: T) => Promise<unknown>): Promise<void> {
  for (let at = 0; at < all.length; at += atOnce) {
    // oxlint-disable-next-line no-await-in-loop -- as said
    await Promise.all(all.slice(at, at + atOnce).map(work));
  }
}

async function undeclared(lab: Lab): Promise<readonly Row[]> {
  const rows: (() => readonly Row[])[] = [];
  for (const ground of grounds) {
    // oxlint-disable-next-line no-await-in-loop -- as above
    rows.push(await ask(lab, ground));
  }
  await settle();
  return rows.flatMap((now) => now());
}

async function override(lab: Lab): Promise<readonly Row[]> {
  const caller = callerIn(lab.twin);
  const oracle = watch(lab.world);
  const host = hosts.judged;
  const forms = methodForms.map((form) => ({ ...form, mark: nonce() }));
  const harmless = nonce();
  await inTurns([...forms, { type: urlencoded, body: '_method=POST&a=MARK', mark: harmless }], ({ type, body, mark: own }) =>
    caller.secure(
      { host },
      [requestText({ host, method: 'POST', lines: [`Content-Type: ${type}`], body: body.replace('MARK', own) })],
      quick,
    ),
  );
  const lines = [...overrides, 'X-Harmless: 1'];
  const mark = nonce();
  const bytes = requestText({ host: hosts.opened, method: 'POST', target: `/v1/messages?${mark}`, lines, body: '{}' });
  await caller.secure({ host: hosts.opened }, [bytes]);
  await settle();
  const arrived = oracle.with(mark);
  const names = new Set(arrived.flatMap(({ headers = [] }) => headers.map(([name]) => name)));
  const through = overrides.map((line) => line.split(':', 1)[0] ?? '').filter((name) => names.has(name.toLowerCase()));
  return [
    none('fields that name another method or path, and arrive', through),
    ...forms.map((form) => unseenRow(`another method in a form, ${form.what}`, oracle.with(form.mark))),
    seenRow('the method that was judged in a form', oracle.with(harmless)),
    control('a harmless field', {
      expected: 'arrives',
      seen: names.has('x-harmless') ? 'arrives' : 'does not arrive',
      ok: names.has('x-harmless'),
      from: 'outside',
    }),
  ];
}

async function ownKey(lab: Lab): Promise<readonly Row[]> {
  const caller = callerIn(lab.twin);
  const oracle = watch(lab.world);
  const phantom = await phantomIn(lab.twin);
  const host = hosts.opened;
  const tries = Object.keys(ownKeys({ host, target: '/', phantom: 'x', key: 'x' })).map((what) => {
    const key = `own${nonce()}`;
    return { what, key, bytes: ownKeys({ host, target: '/v1/messages?x', phantom, key })[what] ?? '' };
  });
  const session = await http2In(caller, { host });
  const overHttp2 = ['x-api-key', 'authorization', 'cookie', 'x-auth-token'].map((name) => ({ name, key: `own${nonce()}` }));
  await inTurns(tries, ({ bytes }) => caller.secure({ host }, [bytes], quick));
  await Promise.all(
    overHttp2.map(({ name, key }) =>
      session.ask({ ':method': 'POST', ':path': '/v1/messages', ':authority': host, ':scheme': 'https', [name]: key }, '{}'),
    ),
  );
  session.close();
  const [withPhantom, withNothing] = [nonce(), nonce()];
  const legal = (mark: string, lines: readonly string[]): string =>
    requestText({ host, method: 'POST', target: `/v1/messages?${mark}`, lines, body: '{}' });
  await caller.secure({ host }, [legal(withPhantom, [`X-Api-Key: ${phantom}`])]);
  await caller.secure({ host }, [legal(withNothing, [])]);
  await settle();
  const once = (mark: string) =>
    oracle.with(mark).filter(({ headers = [] }) => {
      const values = headers.filter(([name]) => name === 'x-api-key').map(([, value]) => value);
      return values.length === 1 && values[0] === lab.canaries.key;
    });
  return [
    ...tries.map(({ what, key }) => unseenRow(`its own key ${what}`, oracle.with(key))),
    ...overHttp2.map(({ name, key }) => unseenRow(`its own key in ${name}, over HTTP/2`, oracle.with(key))),
    seenRow("the gateway's key, once, for the phantom", once(withPhantom)),
    seenRow("the gateway's key, once, for nothing", once(withNothing)),
  ];
}

export const functionProbes: ProbeTable = {
  'functions.undeclared': {
    where: 'lab',
    title: 'use a host that is allowed for something else than its rules name: another method, another path, another spelling',
    proves: ['G14'],
    profile: 'full',
    source: 'RFC 3986 section 6.2.2; allowlisted-domain exfiltration',
    run: async (lab) => ({ rows: await undeclared(lab) }),
  },
  'functions.overridden': {
    where: 'lab',
    title: 'name another method or path in a field, or another method in a form, of a request that is allowed',
    proves: ['G14'],
    profile: 'full',
    source: 'CWE-650; X-HTTP-Method-Override, X-Original-URL',
    run: async (lab) => ({ rows: await override(lab) }),
  },
  'functions.own-key': {
    where: 'lab',
    title: "use a host that is allowed under the caller's own key",
    proves: ['G14'],
    profile: 'full',
    source: 'Claude Cowork files API, January 2026; Rehberger, October 2025',
    run: async (lab) => ({ rows: await ownKey(lab) }),
  },
};
