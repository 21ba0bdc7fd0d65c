import { randomBytes } from 'node:crypto';

import { legalGitRequests, legalPush, wrongGitRequests, wrongPushes, type PushParts } from '../attacks/git-pushes.ts';
import { callerIn } from '../clients/caller.ts';
import { requestText } from '../clients/request-text.ts';
import { same } from '../compare.ts';
import { attack, control, type Row } from '../finding.ts';
import { hosts, meteredRequests } from '../lab/hosts.ts';
import type { Lab, LabSandbox } from '../lab/lab.ts';
import { seenRow, settle, unseenRow, watch } from '../oracle.ts';
import type { ProbeTable } from '../probe.ts';

/** What may be done at services that rules know by their kind: git servers, package registries, metered accounts (G14). */

const nonce = (): string => randomBytes(6).toString('hex');
const quick = { quietMs: 1500 } as const;
const { git, registry, metered } = hosts;

type Requests = (parts: PushParts) => Readonly<Record<string, string>>;

function marked(requests: Requests) {
  return Object.keys(requests({ host: git, mark: 'x' })).map((what) => {
    const mark = nonce();
    return { what, mark, bytes: requests({ host: git, mark })[what] ?? '' };
  });
}

async function pushElsewhere(lab: Lab): Promise<readonly Row[]> {
  const caller = callerIn(lab.twin);
  const oracle = watch(lab.world);
  const pushes = marked(wrongPushes);
  const others = marked(wrongGitRequests);
  const legal = [...marked((parts) => ({ 'a push to what is named': legalPush(parts) })), ...marked(legalGitRequests)];
  for (const some of [pushes, [...others, ...legal]]) {
    // oxlint-disable-next-line no-await-in-loop -- not all at once
    await Promise.all(some.map(({ bytes }) => caller.secure({ host: git }, [bytes], quick)));
  }
  await settle();
  const refused = oracle.requests().filter(({ host, method }) => host === git && method === 'POST');
  return [
    ...pushes.map(({ what, mark }) => unseenRow(`a push ${what}`, oracle.with(mark))),
    ...others.map(({ what, mark }) => unseenRow(what, oracle.with(mark))),
    same('requests to change something that arrived, beside the legal push', 1, refused.length),
    ...legal.map(({ what, mark }) => seenRow(what, oracle.with(mark))),
  ];
}

interface Call {
  readonly method: string;
  readonly target: string;
  readonly body?: string | undefined;
}

const wrongRegistryCalls: Readonly<Record<string, Call>> = {
  'publish a package': { method: 'PUT', target: '/thing', body: '{"name":"thing"}' },
  'remove a package': { method: 'DELETE', target: '/thing/-rev/1' },
  'ask for an audit': { method: 'POST', target: '/-/npm/v1/security/audits', body: '{}' },
  'make a token': { method: 'POST', target: '/-/npm/v1/tokens', body: '{}' },
  'read who one is': { method: 'GET', target: '/-/whoami' },
  'log in': { method: 'PUT', target: '/-/user/org.couchdb.user:me', body: '{}' },
  'read all there is': { method: 'GET', target: '/-/all' },
  search: { method: 'GET', target: '/-/v1/search?text=x' },
  'read what is no package, by a path that climbs': { method: 'GET', target: '/thing/../-/whoami' },
  'read with content': { method: 'GET', target: '/thing-with-content', body: 'data' },
};

async function misuseRegistry(lab: Lab): Promise<readonly Row[]> {
  const caller = callerIn(lab.twin);
  const oracle = watch(lab.world);
  lab.world.respond(() => ({ status: 404, headers: { 'content-type': 'application/json' }, body: '{}' }));
  const tries = Object.entries(wrongRegistryCalls).map(([what, call]) => ({ what, call, mark: nonce() }));
  const legal = nonce();
  const key = `own${nonce()}`;
  const own = [`Authorization: Bearer ${key}`, `npm-otp: ${key}`, `Cookie: s=${key}`];
  const say = ({ method, target, body }: Call, lines: readonly string[]) =>
    caller.secure({ host: registry }, [requestText({ host: registry, method, target, body, lines })], quick);
  await Promise.all(tries.map(({ call, mark }) => say(call, [`User-Agent: ${mark}`])));
  await say({ method: 'GET', target: '/thing' }, [`User-Agent: ${legal}`, ...own]);
  await settle();
  lab.world.respond(undefined);
  return [
    ...tries.map(({ what, mark }) => unseenRow(what, oracle.with(mark))),
    unseenRow("the caller's own account", oracle.with(key)),
    seenRow('read a package', oracle.with(legal)),
  ];
}

/** Requests at once, and after another start: what was used up stays so for the life of the sandbox. */
async function overspend(lab: Lab): Promise<readonly Row[]> {
  const sandbox = await lab.make('metered');
  const oracle = watch(lab.world);
  const at = (mark: string) => oracle.with(mark).filter(({ kind }) => kind === 'request');
  const [first, later, other] = [nonce(), nonce(), nonce()];
  const spent = await Promise.all(Array.from({ length: meteredRequests * 4 }, () => spend(sandbox, metered, first)));
  await lab.casemate(['restart', sandbox.name]);
  const again = await spend(sandbox, metered, later);
  await spend(sandbox, hosts.judged, other);
  await settle();
  await lab.casemate(['destroy', sandbox.name, '--confirm', sandbox.name]);
  const told = [...spent, again].filter((text) => text.includes(' 429 ')).length;
  return [
    attack(`requests that arrive of ${meteredRequests * 4} at once`, {
      expected: `${meteredRequests} at most`,
      seen: String(at(first).length),
      ok: at(first).length <= meteredRequests,
      from: 'outside',
    }),
    unseenRow('one more after another start', at(later)),
    control('those within the budget', {
      expected: String(meteredRequests),
      seen: String(at(first).length),
      ok: at(first).length >= meteredRequests,
      from: 'outside',
    }),
    control('refusals that say so', {
      expected: `429, ${meteredRequests * 3 + 1} times`,
      seen: `429, ${told} times`,
      ok: told === meteredRequests * 3 + 1,
    }),
    seenRow('a request to a host without a budget', at(other)),
  ];
}

async function spend(sandbox: LabSandbox, host: string, mark: string): Promise<string> {
  const bytes = requestText({ host, target: `/?${mark}` });
  return (await callerIn(sandbox).secure({ host }, [bytes], { quietMs: 3000 })).text;
}

export const serviceProbes: ProbeTable = {
  'functions.git': {
    where: 'lab',
    title: 'push to a branch or a repository that no rule names, or read one',
    proves: ['G14'],
    profile: 'full',
    source: 'gitprotocol-http(5), gitprotocol-pack(5); NomShub',
    run: async (lab) => ({ rows: await pushElsewhere(lab) }),
  },
  'functions.registry': {
    where: 'lab',
    title: 'publish to a package registry, or use an account there',
    proves: ['G14'],
    profile: 'full',
    source: 'exfiltration by publishing; npm audit as a sink',
    run: async (lab) =>
      lab.hasRegistry
        ? { rows: await misuseRegistry(lab) }
        : { notApplicable: 'the lab has no registry: nothing in a temporary folder can be run here' },
  },
  'functions.budget': {
    where: 'lab',
    title: 'send more requests with a key than its budget allows, at once or after another start',
    proves: ['G14'],
    profile: 'full',
    source: 'CWE-770, CWE-362',
    run: async (lab) => ({ rows: await overspend(lab) }),
  },
};
