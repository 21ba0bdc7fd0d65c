import { randomBytes } from 'node:crypto';

import type { JournalRecord } from '../../journal/record.ts';
import { strangePlaces, usualPlaces } from '../attacks/held-texts.ts';
import { shows } from '../attacks/text-forms.ts';
import { callerIn, type Caller } from '../clients/caller.ts';
import { requestText } from '../clients/request-text.ts';
import { none, same } from '../compare.ts';
import { eventually } from '../eventually.ts';
import { control, type Row } from '../finding.ts';
import { hosts } from '../lab/hosts.ts';
import type { Lab } from '../lab/lab.ts';
import { phantomIn } from '../lab/phantoms.ts';
import type { Arrival } from '../lab/world.ts';
import { effectsIn, seenRow, settle, unseenRow, watch, watchJournal, watchWholeJournal, type Oracle } from '../oracle.ts';
import type { ProbeTable } from '../probe.ts';

/** Where a key goes (G13): to the declared place of the declared host, over verified TLS, and nowhere else. */

const nonce = (): string => randomBytes(6).toString('hex');
const declaredHeader = 'x-api-key';
const badCertificates = ['expired', 'early', 'stranger', 'misnamed'] as const;

interface Attempt {
  readonly what: string;
  readonly mark: string;
  readonly host: string;
  readonly say: Caller['plain'];
  readonly bytes: string;
}

type Places = (held: { host: string; method: string; target: string; text: string }) => Readonly<Record<string, string>>;

interface Ground {
  readonly name: string;
  readonly host: string;
  readonly say: Caller['plain'];
}

function attemptsOn({ name, host, say }: Ground, phantom: string, places: Places): readonly Attempt[] {
  const parts = { host, method: 'POST', text: phantom };
  return Object.keys(places({ ...parts, target: '/' })).map((place) => {
    const mark = nonce();
    const bytes = places({ ...parts, target: `/v1/messages?${mark}` })[place] ?? '';
    return { what: `${name}: ${place}`, mark, host, say, bytes };
  });
}

const everyPlace: Places = (held) => ({ ...usualPlaces(held), ...strangePlaces(held) });
const declaredPlaces: Places = (held) => ({ 'in X-Api-Key': usualPlaces(held)['in X-Api-Key'] ?? '' });

async function attemptsIn(lab: Lab): Promise<readonly Attempt[]> {
  const caller = callerIn(lab.twin);
  const [own, foreign] = await Promise.all([phantomIn(lab.twin), lab.peer().then((peer) => phantomIn(peer))]);
  const opened = { host: hosts.opened, say: caller.secure };
  return [
    ...attemptsOn({ name: 'at its own host', ...opened }, own, strangePlaces),
    ...attemptsOn({ name: "another sandbox's, at its own host", ...opened }, foreign, declaredPlaces),
    ...attemptsOn({ name: 'at a host without a credential', host: hosts.judged, say: caller.secure }, own, everyPlace),
    ...attemptsOn({ name: 'in clear', host: hosts.allowed, say: caller.plain }, own, everyPlace),
  ];
}

/** What shows the key anywhere but in the declared header of the declared host, or the phantom anywhere. */
function strays(found: readonly Arrival[], { key, phantoms }: Sought): readonly Arrival[] {
  return found.filter((arrival) => {
    const isDeclared = arrival.host === hosts.opened && arrival.server === 'tls';
    const rest = arrival.headers?.filter(([name, value]) => !(isDeclared && name === declaredHeader && value === key));
    const text = JSON.stringify([arrival.method, arrival.url, rest, arrival.body, arrival.trailers]);
    return [key, ...phantoms].some((sought) => shows(text, sought));
  });
}

interface Sought {
  readonly key: string;
  readonly phantoms: readonly string[];
}

function withKey(found: readonly Arrival[], key: string): readonly Arrival[] {
  return found.filter(({ headers }) => headers?.some(([name, value]) => name === declaredHeader && value === key) === true);
}

/** The declared place of a host. */
async function declared(lab: Lab, host: string, mark: string): Promise<void> {
  const lines = [`X-Api-Key: ${await phantomIn(lab.twin)}`];
  const bytes = requestText({ host, method: 'POST', target: `/v1/messages?${mark}`, lines, body: '{}' });
  await callerIn(lab.twin).secure({ host }, [bytes]);
}

async function controls(lab: Lab, oracle: Oracle): Promise<readonly Row[]> {
  const caller = callerIn(lab.twin);
  const [right, elsewhere, clear, relayed] = [nonce(), nonce(), nonce(), nonce()];
  const plain = (host: string, mark: string, lines: readonly string[] = []): string =>
    requestText({ host, method: 'POST', target: `/v1/messages?${mark}`, lines, body: '{}' });
  const phantom = await phantomIn(lab.twin);
  await Promise.all([
    declared(lab, hosts.opened, right),
    caller.secure({ host: hosts.judged }, [plain(hosts.judged, elsewhere)]),
    caller.plain({ host: hosts.allowed }, [plain(hosts.allowed, clear)]),
    caller.secure({ host: hosts.allowed }, [plain(hosts.allowed, relayed, [`X-Api-Key: ${phantom}`])]),
  ]);
  await settle();
  const passed = oracle.with(relayed);
  return [
    unseenRow(
      'the key, inside TLS that is passed through',
      passed.filter((arrival) => shows(JSON.stringify(arrival), lab.canaries.key)),
    ),
    seenRow('the phantom, worthless, inside TLS that is passed through', passed),
    seenRow('the key in the declared place', withKey(oracle.with(right), lab.canaries.key)),
    seenRow('a request without a phantom at the host without a credential', oracle.with(elsewhere)),
    seenRow('a request without a phantom in clear', oracle.with(clear)),
  ];
}

async function misplace(lab: Lab): Promise<readonly Row[]> {
  const oracle = watch(lab.world);
  const attempts = await attemptsIn(lab);
  const since = await watchWholeJournal(lab);
  const phantoms = await Promise.all([phantomIn(lab.twin), lab.peer().then((peer) => phantomIn(peer))]);
  const sought = { key: lab.canaries.key, phantoms };
  await Promise.all(attempts.map(({ host, say, bytes }) => say({ host }, [bytes], { quietMs: 1500 })));
  await settle();
  const rows = attempts.map(({ what, mark }) => unseenRow(what, strays(oracle.with(mark), sought)));
  // Many of a kind at once are summed up when their second is over.
  await eventually(async () => (alarmsIn(await since()) >= attempts.length ? true : undefined), 5000);
  const records = await since();
  const revealing = records.filter((record) => [sought.key, ...phantoms].some((text) => shows(JSON.stringify(record), text)));
  return [
    ...rows,
    same('alarms in the journal, for as many phantoms that stood where none belongs', attempts.length, alarmsIn(records)),
    none(
      'records that show a key or a phantom',
      revealing.map(({ action }) => action),
    ),
    ...(await controls(lab, oracle)),
  ];
}

function alarmsIn(records: readonly JournalRecord[]): number {
  return effectsIn(records.filter(({ action }) => ['alarm.phantom-misplaced', 'alarm.foreign-key'].includes(action)));
}

async function trustNobody(lab: Lab): Promise<readonly Row[]> {
  const oracle = watch(lab.world);
  const right = nonce();
  const tries = badCertificates.map((kind) => ({ kind, mark: nonce() }));
  await Promise.all([declared(lab, hosts.opened, right), ...tries.map(({ kind, mark }) => declared(lab, hosts[kind], mark))]);
  await settle();
  return [
    ...tries.flatMap(({ kind, mark }) => [
      unseenRow(`at a server whose certificate is ${kind}`, [
        ...oracle.with(mark),
        ...oracle.requests().filter(({ server }) => server === kind),
      ]),
      seenRow(
        `the gateway greets the server whose certificate is ${kind}`,
        oracle.arrived().filter(({ kind: what, server }) => what === 'hello' && server === kind),
      ),
    ]),
    seenRow('the key at a server whose certificate is good', withKey(oracle.with(right), lab.canaries.key)),
  ];
}

/** No server of the lab can be reached without an override, so what is looked at is whether its name is asked for. */
async function sendInClear(lab: Lab): Promise<readonly Row[]> {
  const caller = callerIn(lab.twin);
  const since = await watchJournal(lab);
  const lines = [`X-Api-Key: ${await phantomIn(lab.twin)}`];
  const bytes = requestText({ host: hosts.clear, method: 'POST', target: '/v1/messages', lines, body: '{}' });
  const inClear = watch(lab.world);
  await caller.plain({ host: hosts.clear }, [bytes]);
  await settle();
  const asked = inClear.asked().filter((name) => name === hosts.clear);
  const overTls = watch(lab.world);
  await caller.secure({ host: hosts.clear }, [bytes]);
  await settle();
  const opened = (await since()).filter(({ action, subject }) => action === 'net.open' && subject === `${hosts.clear}:80`);
  return [
    none('names asked for, to send a key in clear', asked),
    same('records that such a request was let out', 0, opened.length),
    control('the name of the same host, to send it over TLS', {
      expected: hosts.clear,
      seen: overTls.asked().includes(hosts.clear) ? hosts.clear : 'nothing',
      ok: overTls.asked().includes(hosts.clear),
      from: 'outside',
    }),
  ];
}

export const keyPlaceProbes: ProbeTable = {
  'keys.elsewhere': {
    where: 'lab',
    title: 'send a phantom to where it does not belong: another host, another place of a request, in clear, from another sandbox',
    proves: ['G13'],
    profile: 'full',
    source: 'CWE-522; placeholders of OpenShell and microsandbox 836',
    run: async (lab) => ({ rows: await misplace(lab) }),
  },
  'keys.certificates': {
    where: 'lab',
    title: 'have a key sent to a server whose certificate has expired, is not valid yet, is for another name or from a stranger',
    proves: ['G13'],
    profile: 'full',
    source: 'CWE-295; RFC 9525',
    run: async (lab) => ({ rows: await trustNobody(lab) }),
  },
  'keys.in-clear': {
    where: 'lab',
    title: 'have a key sent without TLS',
    proves: ['G13'],
    profile: 'full',
    source: 'CWE-319',
    run: async (lab) => ({ rows: await sendInClear(lab) }),
  },
};
