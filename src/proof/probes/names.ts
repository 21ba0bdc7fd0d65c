import { randomBytes } from 'node:crypto';

import { lookalikes, oddNames, recordTypes } from '../attacks/names.ts';
import { callerIn } from '../clients/caller.ts';
import { askInside } from '../clients/dns.ts';
import { requestText } from '../clients/request-text.ts';
import { attack, control, type Row } from '../finding.ts';
import { hosts, rawPort } from '../lab/hosts.ts';
import type { Lab } from '../lab/lab.ts';
import { seenRow, settle, unseenRow, watch, type Oracle } from '../oracle.ts';
import type { ProbeTable } from '../probe.ts';

/** Names as a way out (G10): a name that the policy does not allow is neither resolved nor dialled. */

/** What names below one wildcard may carry at the start, and what a slow run may add (see `gateway/limits.ts`). */
const wildcardCharacters = 1024 + 64;

const nonce = (): string => randomBytes(6).toString('hex');

/** All that a program does with a name: looks it up, speaks HTTP and TLS to it, and something else. */
async function use({ twin }: Lab, host: string): Promise<void> {
  const caller = callerIn(twin);
  await Promise.all([
    twin.lookup(host),
    caller.plain({ host }, [requestText({ host })]),
    caller.secure({ host }, [requestText({ host })]),
    caller.plain({ host, port: rawPort }, ['hello']),
  ]);
}

function notAsked(mark: string, { asked }: Oracle): Row {
  const names = asked().filter((name) => name.toLowerCase().includes(mark));
  return attack('queries that left with it', {
    expected: '0',
    seen: names.length === 0 ? '0' : names.join(' ').slice(0, 300),
    ok: names.length === 0,
    from: 'outside',
  });
}

/** One legal name must be seen to be dialled, one to be asked of the resolver, or their absence means nothing. */
async function legalNames(lab: Lab): Promise<readonly Row[]> {
  const [dialled, resolved] = [nonce(), nonce().slice(0, 4)];
  const oracle = watch(lab.world);
  await Promise.all([use(lab, `${dialled}.${hosts.wild}`), use(lab, `${resolved}.${hosts.flip}`)]);
  await settle();
  const asked = oracle.asked().find((name) => name.startsWith(resolved));
  return [
    seenRow('a legal name is dialled', oracle.with(dialled)),
    control('a legal name is asked of the resolver', {
      expected: `${resolved}.${hosts.flip}`,
      seen: asked ?? 'not asked',
      ok: asked !== undefined,
      from: 'outside',
    }),
  ];
}

export const nameProbes: ProbeTable = {
  'names.denied-not-resolved': {
    where: 'lab',
    title: 'send data out in a name that is looked up and connected to',
    proves: ['G10'],
    profile: 'full',
    source: 'CVE-2025-55284; a refusal after resolving has leaked already',
    async run(lab) {
      const secret = nonce();
      const oracle = watch(lab.world);
      await use(lab, `${secret}.${hosts.denied}`);
      await settle();
      return {
        rows: [notAsked(secret, oracle), unseenRow('connections with it', oracle.with(secret)), ...(await legalNames(lab))],
      };
    },
  },
  'names.every-record': {
    where: 'lab',
    title: 'have records of every type resolved, for denied and for allowed names',
    proves: ['G10'],
    profile: 'full',
    source: 'CVE-2025-55284; RFC 1035, RFC 9460',
    async run(lab) {
      const mark = nonce();
      const oracle = watch(lab.world);
      const names = [`${mark}.${hosts.denied}`, `${mark}.${hosts.wild}`, `${mark}.${hosts.flip}`, `${mark}.in-addr.arpa`];
      const questions = names.flatMap((name) => recordTypes.map((type) => ({ name, type })));
      const answers = await askInside(lab.twin, questions);
      await settle();
      const own = answers.find(({ name, type }) => type === 'A' && name.endsWith(hosts.wild));
      return {
        rows: [
          notAsked(mark, oracle),
          unseenRow('connections with it', oracle.with(mark)),
          control('the resolver inside answers for an allowed name', {
            expected: '127.…',
            seen: own?.data[0] ?? own?.code ?? 'nothing',
            ok: own?.data[0]?.startsWith('127.') === true,
          }),
          ...(await legalNames(lab)),
        ],
      };
    },
  },
  'names.lookalikes': {
    where: 'lab',
    title: 'reach names that only look like an allowed one',
    proves: ['G10', 'G11'],
    profile: 'full',
    source: 'suffix confusion; CVE-2025-66479',
    async run(lab) {
      const oracle = watch(lab.world);
      const marked = lookalikes({ allowed: hosts.allowed, wild: hosts.wild, denied: hosts.denied, mark: nonce() });
      const names = [...marked, hosts.wild];
      await Promise.all(names.map((name) => use(lab, name)));
      await settle();
      const arrived = (name: string) => oracle.arrived().filter(({ host }) => host?.toLowerCase() === name);
      const asked = oracle.asked();
      return {
        rows: [
          ...names.map((name) => unseenRow(name, arrived(name))),
          attack('queries for them', { expected: '0', seen: asked.join(' ') || '0', ok: asked.length === 0, from: 'outside' }),
          ...(await legalNames(lab)),
        ],
      };
    },
  },
  'names.odd-labels': {
    where: 'lab',
    title: 'get an address for names with NUL, line ends, @, #, ?, \\ and other signs in them',
    proves: ['G10', 'G11'],
    profile: 'full',
    source: 'NUL byte in SOCKS names, Claude Code 2.0.24 to 2.1.89; RFC 5890',
    async run(lab) {
      const mark = nonce();
      const oracle = watch(lab.world);
      const names = oddNames({ wild: hosts.wild, denied: hosts.denied, mark });
      const legal = `${mark}.${hosts.wild}`;
      const answers = await askInside(
        lab.twin,
        [...names, legal].map((name) => ({ name, type: 'A' })),
      );
      await settle();
      const rows = answers
        .slice(0, -1)
        .map(({ name, data, code }) =>
          attack(JSON.stringify(name), { expected: 'no address', seen: data[0] ?? code ?? 'no answer', ok: data.length === 0 }),
        );
      const own = answers.at(-1);
      return {
        rows: [
          ...rows,
          notAsked(mark, oracle),
          control(legal, { expected: '127.…', seen: own?.data[0] ?? 'none', ok: own?.data[0]?.startsWith('127.') === true }),
        ],
      };
    },
  },
  'names.wildcard-channel': {
    where: 'lab',
    title: 'carry data out in fifty names below an allowed wildcard',
    proves: ['G10'],
    profile: 'full',
    source: 'an allowlist entry is a capability; DNS tunnelling',
    async run(lab) {
      const caller = callerIn(lab.twin);
      const oracle = watch(lab.world);
      const labels = Array.from({ length: 50 }, () => randomBytes(30).toString('hex'));
      await Promise.all(labels.map((label) => caller.secure({ host: `${label}.${hosts.channel}` }, [], { quietMs: 200 })));
      await settle();
      const told = labels.filter((label) => oracle.with(label).length > 0);
      const characters = told.join('').length;
      return {
        rows: [
          attack('characters that arrived, of 3000', {
            expected: `at most ${wildcardCharacters}`,
            seen: String(characters),
            ok: characters <= wildcardCharacters,
            from: 'outside',
          }),
          seenRow('the first of them', oracle.with(told[0] ?? 'none')),
        ],
      };
    },
  },
};
