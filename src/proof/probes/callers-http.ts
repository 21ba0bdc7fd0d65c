import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { none } from '../compare.ts';
import { attack, control, type Row } from '../finding.ts';
import type { Lab } from '../lab/lab.ts';
import { bearer, hello, openHttp, type Connected, type HttpSeen, type LabHttp } from '../lab/lab-mcp-http.ts';
import { sandboxNames } from '../lab/told.ts';
import type { ProbeTable } from '../probe.ts';

/**
 * Callers over HTTP without the right to be there: another token, a web page in a browser, a token that is over, one that may
 * only look.
 */

const lifeMs = 2000;

export const callerHttpProbes: ProbeTable = {
  'callers.http': {
    where: 'lab',
    title: 'come over HTTP with no token, one that is over, one of less, as a page of a browser, and without end',
    proves: ['G15', 'G21', 'G22', 'G23'],
    profile: 'full',
    source: 'CVE-2025-66414 and CVE-2025-49596 (DNS rebinding of servers on loopback), CWE-613, CWE-770',
    async run(lab) {
      const root = join(lab.folder, 'work-http');
      await mkdir(root, { recursive: true });
      await lab.give(root);
      const http = await openHttp(lab);
      try {
        const brief = await http.add('proof-brief', '--root', root, '--expires', `${lifeMs}ms`);
        const overMs = performance.now() + lifeMs;
        const token = await http.add('proof-http', '--root', root);
        const own: Connected = { token, session: await http.begin(token) };
        const works = await http.call(own, 'list_sessions', {});
        return {
          rows: [
            control('a caller with a token', { ...doneOr(works.refused), from: 'outside' }),
            ...(await strangers(http, token)),
            ...(await looking(lab, http, root)),
            ...(await borrowed(http, own, root)),
            ...(await without(http, own)),
            await overRow(http, brief, overMs),
            await revokedRow(lab, http, token),
          ],
        };
      } finally {
        http.close();
      }
    },
  },
};

function doneOr(refused: string | undefined) {
  return {
    expected: 'done',
    seen: refused === undefined ? 'done' : `refused: ${refused.slice(0, 120)}`,
    ok: refused === undefined,
  };
}

function statusRow(what: string, { status }: HttpSeen, expected: number): Row {
  return attack(what, { expected: `status ${expected}`, seen: `status ${status}`, ok: status === expected, from: 'outside' });
}

async function strangers(http: LabHttp, token: string): Promise<readonly Row[]> {
  const { port } = http;
  const known = bearer(token);
  const asked = async (headers: Readonly<Record<string, string>>): Promise<HttpSeen> => await http.post(hello, headers);
  return [
    statusRow('without a token', await asked({}), 401),
    statusRow('with a token that was made up', await asked(bearer(`cmt_${'A'.repeat(43)}`)), 401),
    statusRow('with a token of another kind', await asked({ authorization: `Basic ${token}` }), 401),
    statusRow('by a name that leads to loopback', await asked({ ...known, host: `rebound.example:${port}` }), 403),
    statusRow('by a name of loopback and another port', await asked({ ...known, host: 'localhost:1' }), 403),
    statusRow('from a page of another site', await asked({ ...known, origin: 'https://example.com' }), 403),
    statusRow('from a page of this host', await asked({ ...known, origin: `http://localhost:${port}` }), 403),
    statusRow('from a page in a frame', await asked({ ...known, origin: 'null' }), 403),
  ];
}

/** One that may look and do nothing. */
async function looking(lab: Lab, http: LabHttp, root: string): Promise<readonly Row[]> {
  const token = await http.add('proof-viewer', '--root', root, '--role', 'viewer');
  const viewer: Connected = { token, session: await http.begin(token) };
  const before = await sandboxNames(lab.casemate);
  const sees = await http.call(viewer, 'list_sessions', {});
  const made = await http.call(viewer, 'create_session', { projectPath: root, agent: 'none' });
  const further = (await sandboxNames(lab.casemate)).filter((name) => !before.includes(name));
  await Promise.all(further.map(async (name) => await lab.casemate(['destroy', name, '--confirm', name])));
  const seen = made.refused === undefined ? 'done' : `refused: ${made.refused.slice(0, 100)}`;
  return [
    control('look, as a viewer', { ...doneOr(sees.refused), from: 'outside' }),
    attack('make a session, as a viewer', { expected: 'refused', seen, ok: made.refused !== undefined, from: 'outside' }),
    none('sandboxes that came of it', further),
  ];
}

/** The connection of another caller, by its id. */
async function borrowed(http: LabHttp, own: Connected, root: string): Promise<readonly Row[]> {
  const token = await http.add('proof-other', '--root', root);
  const headers = { ...bearer(token), 'mcp-session-id': own.session };
  const message = { id: 3, method: 'tools/list', params: {} };
  return [statusRow('in the connection of another caller', await http.post(message, headers), 404)];
}

/** More calls at once than anybody needs, each refused for what it asks: how many were too many is the question. */
async function without(http: LabHttp, own: Connected): Promise<readonly Row[]> {
  const calls = Array.from({ length: 24 }, async () => await http.call(own, 'create_session', { projectPath: '/' }));
  const limited = (await Promise.all(calls)).filter(({ refused }) => refused?.startsWith('RATE_LIMITED') === true);
  const seen = limited.length > 0 ? 'some are' : 'none is';
  return [
    attack('24 sessions asked for at once', { expected: 'some are too many', seen, ok: limited.length > 0, from: 'outside' }),
  ];
}

/** Until then the other tries have mostly gone by. */
async function overRow(http: LabHttp, token: string, overMs: number): Promise<Row> {
  await sleep(Math.max(0, overMs - performance.now()) + 100);
  return statusRow('with a token whose time is over', await http.post(hello, bearer(token)), 401);
}

async function revokedRow(lab: Lab, http: LabHttp, token: string): Promise<Row> {
  await lab.casemate(['caller', 'revoke', 'proof-http']);
  return statusRow('with a token that was revoked', await http.post(hello, bearer(token)), 401);
}
