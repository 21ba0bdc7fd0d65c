import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { connectClient } from '../../src/daemon/client.ts';
import { socketPath } from '../../src/daemon/protocol.ts';
import { startAuthorizationServer, type AuthorizationServer } from '../../src/tour/authorization-server.ts';
import { emptyReport, joinReports, searchFolder, searchProcess } from '../../src/proof/outside/key-search.ts';
import { startModelApi, type ModelApi } from '../../src/tour/model-api/model-api.ts';
import { makeHome, wholeWayLacks, type Home, type Outcome } from '../helpers/cli.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

/** life of an access token here */
const lifeS = 8;
/** A token may end between the gateway and the stand-in, which share two processors with both agents. */
const underWayMs = 4000;
const names = ['first', 'second'] as const;
const account = 'acc-7d2f';
const authFile = '/home/agent/.codex/auth.json';

describe.skipIf(!engineOrSkip('oci', await wholeWayLacks(['codex'])))(
  'the login of a subscription, with the real Codex client',
  () => {
    let home: Home;
    let server: AuthorizationServer;
    let api: ModelApi;
    /** how long the model has the agent wait in a command */
    let waitS = 0;

    const logIn = async (): Promise<Outcome> => {
      const { accessToken, refreshToken } = server.grant();
      const folder = join(home.env['HOME'] ?? '', '.codex');
      await mkdir(folder, { recursive: true });
      const tokens = { access_token: accessToken, refresh_token: refreshToken, id_token: accessToken, account_id: account };
      await writeFile(join(folder, 'auth.json'), JSON.stringify({ auth_mode: 'chatgpt', tokens }), { mode: 0o600 });
      return await home.casemate(['login', 'codex', '--import', '--yes', '--server', server.url]);
    };
    const ask = (name: string): Promise<Outcome> => {
      const args = ['codex', 'exec', '--dangerously-bypass-approvals-and-sandbox', '--skip-git-repo-check', 'hello'];
      return home.casemate(['exec', name, '--', ...args], { timeoutMs: 90_000 });
    };
    const readAuth = async (name: string): Promise<AuthFile> =>
      JSON.parse((await home.casemate(['exec', name, '--', 'cat', authFile])).out) as AuthFile;
    const journal = async (): Promise<string> => (await home.casemate(['journal', 'query', '--json'])).out;

    beforeAll(async () => {
      home = await makeHome();
      server = await startAuthorizationServer({ expiresIn: lifeS, leewayMs: underWayMs, graceMs: 30_000, form: 'codex' });
      api = await startModelApi({
        expectedKey: server.accepts,
        script: (outcomes) =>
          waitS > 0 && outcomes.length === 0
            ? { say: 'I wait.', act: { kind: 'run', command: `sleep ${waitS}`, about: 'Wait' } }
            : { say: 'All is well.', act: undefined },
      });
      await mkdir(home.paths.config, { recursive: true, mode: 0o700 });
      const rule = ['network:', '  - host: chatgpt.com', `    upstream: ${api.url}`];
      const policy = ['version: 1', 'agent: { name: codex, permissions: skip }', ...rule, ''];
      await writeFile(join(home.paths.config, 'policy.yaml'), policy.join('\n'), { mode: 0o600 });
      expect(await logIn()).toMatchObject({ code: 0, err: expect.stringContaining('takes over') });
      for (const name of names) {
        expect(await home.casemate(['create', name])).toMatchObject({ code: 0 });
        expect(await home.casemate(['start', name])).toMatchObject({ code: 0 });
      }
    }, 120_000);

    afterAll(async () => {
      for (const name of names) {
        await home.casemate(['destroy', name, '--confirm', name]);
      }
      await home.remove();
      await api.close();
      await server.close();
    });

    it('two sandboxes at once work past several expiries, and each token is renewed once', async () => {
      const before = server.counts.granted;
      for (let round = 0; round < 3; round += 1) {
        const outcomes = await Promise.all(names.map(ask));
        expect(outcomes.map(({ code, out }) => ({ code, out }))).toEqual(names.map(() => ({ code: 0, out: 'All is well.\n' })));
        await sleep(round < 2 ? lifeS * 1000 : 0);
      }
      expect(server.counts.granted - before).toBeGreaterThanOrEqual(2);
      expect(server.counts).toMatchObject({ reused: 0, refreshes: server.counts.granted });
      const calls = api.requests.filter(({ method, path }) => method === 'POST' && path === '/backend-api/codex/responses');
      expect(calls.length).toBeGreaterThanOrEqual(6);
      const asked = api.requests.filter(({ path }) => path === '/backend-api/wham/accounts/check');
      expect(asked.length).toBeGreaterThanOrEqual(6);
      expect([...calls, ...asked].filter(({ authorized }) => !authorized)).toEqual([]);
    }, 150_000);

    it('a renewal that the client itself asks for is answered with stand-ins, and it goes on with them', async () => {
      const before = server.counts.refreshes;
      const startedMs = performance.now();
      const { tokens: first } = await readAuth('first');
      const aged = agedToken(first.access_token);
      const swap = `s|${first.access_token}|${aged}|`;
      expect((await home.casemate(['exec', 'first', '--', 'sed', '-i', swap, authFile])).code).toBe(0);
      expect((await readAuth('first')).tokens.access_token).toBe(aged);
      expect(await ask('first')).toMatchObject({ code: 0, out: 'All is well.\n' });
      const { tokens } = await readAuth('first');
      expect(tokens.access_token).not.toBe(aged);
      expect(tokens.refresh_token).toMatch(/^rt_cmph_/);
      expect(await journal()).toMatch(/"local":true,"method":"POST","path":"\/oauth\/token"/);
      // At most those of the tokens' own age, which are due in the last fifth of each life: one that was, and those that came due meanwhile.
      const lives = Math.floor((performance.now() - startedMs) / (lifeS * 1000 * 0.8));
      expect(server.counts.refreshes - before).toBeLessThanOrEqual(1 + lives);
      expect(await ask('first')).toMatchObject({ code: 0, out: 'All is well.\n' });
    }, 120_000);

    it('nobody logs in or out from inside', async () => {
      const { revoked } = server.counts;
      await home.casemate(['exec', 'second', '--', 'codex', 'logout']);
      const url = 'https://auth.openai.com/api/accounts/deviceauth/usercode';
      const answered = await home.casemate(['exec', 'second', '--', 'curl', '-sS', '-w', ' %{http_code}', '-d', '{}', url]);
      expect(answered.out).toMatch(/nobody logs in or out.* 403$/);
      expect(server.counts.revoked).toBe(revoked);
      expect((await ask('first')).out).toBe('All is well.\n');
    }, 60_000);

    it('no real token is in the environment, the files or the memory of a sandbox', async () => {
      waitS = 6;
      const asking = ask('first');
      await sleep(4000);
      const { phantoms } = JSON.parse((await home.casemate(['inspect', 'first', '--json'])).out) as { phantoms: string[] };
      const standIns = phantoms.map((text, index) => ({ name: `stand-in ${index}`, text }));
      const needles = [...server.issued.map((text, index) => ({ name: `real ${index}`, text })), ...standIns];
      const client = await connectClient({ socketPath: socketPath(home.paths), answer: async () => ({}) });
      const { pids } = await client.call('processes', { name: 'first' });
      client.close();
      let report = emptyReport(needles);
      for (const folder of ['home/agent', 'tmp', 'run', 'etc']) {
        report = joinReports(report, await searchFolder(`/proc/${pids[0]}/root/${folder}`, needles));
      }
      for (const pid of pids) {
        report = joinReports(report, await searchProcess(pid, needles));
      }
      waitS = 0;
      await asking;
      expect(report.bytes).toBeGreaterThan(10 * 1024 * 1024);
      expect(standIns.some(({ name }) => (report.seen[name]?.length ?? 0) > 0)).toBe(true);
      expect(Object.entries(report.seen).filter(([name, places]) => name.startsWith('real') && places.length > 0)).toEqual([]);
    }, 90_000);
  },
);

/** The same stand-in, which says that it has ended: by that the client sees that it must renew. */
function agedToken(token: string): string {
  const [head = '', claims = '', signature = ''] = token.split('.');
  const read: unknown = JSON.parse(Buffer.from(claims, 'base64url').toString('utf8'));
  const said = Buffer.from(JSON.stringify({ ...Object(read), exp: 1_700_000_000 })).toString('base64url');
  return [head, said, signature].join('.');
}

interface AuthFile {
  readonly tokens: { readonly access_token: string; readonly refresh_token: string };
}
