import { setTimeout as sleep } from 'node:timers/promises';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { startAuthorizationServer, type AuthorizationServer } from '../../src/tour/authorization-server.ts';
import { emptyReport, joinReports, searchFolder, searchProcess } from '../../src/proof/outside/key-search.ts';
import { startModelApi, type ModelApi } from '../../src/tour/model-api/model-api.ts';
import { connectClient } from '../../src/daemon/client.ts';
import { socketPath } from '../../src/daemon/protocol.ts';
import { makeHome, wholeWayLacks, type Home, type Outcome } from '../helpers/cli.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

/** life of an access token here */
const lifeS = 4;
/** A token may end between the gateway and the stand-in, which share two processors with both agents. */
const underWayMs = 3000;
const names = ['first', 'second'] as const;

describe.skipIf(!engineOrSkip('oci', await wholeWayLacks(['claude'])))(
  'the login of a subscription, with the real client',
  () => {
    let home: Home;
    let server: AuthorizationServer;
    let api: ModelApi;
    /** how long the model has the agent wait in a command */
    let waitS = 0;

    const logIn = async (): Promise<Outcome> => {
      const { accessToken, refreshToken, expiresMs } = server.grant();
      const folder = join(home.env['HOME'] ?? '', '.claude');
      await mkdir(folder, { recursive: true });
      const login = { accessToken, refreshToken, expiresAt: expiresMs, scopes: ['user:inference'], subscriptionType: 'max' };
      await writeFile(join(folder, '.credentials.json'), JSON.stringify({ claudeAiOauth: login }), { mode: 0o600 });
      return await home.casemate(['login', 'claude', '--import', '--yes', '--server', server.url]);
    };
    const ask = (name: string): Promise<Outcome> =>
      home.casemate(['exec', name, '--', 'claude', '-p', '--dangerously-skip-permissions', 'hello'], { timeoutMs: 90_000 });
    const daemonPid = async (): Promise<number> =>
      (JSON.parse((await home.casemate(['daemon', 'status', '--json'])).out) as { daemon: { pid: number } }).daemon.pid;

    beforeAll(async () => {
      home = await makeHome();
      server = await startAuthorizationServer({ expiresIn: lifeS, leewayMs: underWayMs, graceMs: 30_000 });
      api = await startModelApi({
        expectedKey: server.accepts,
        script: (outcomes) =>
          waitS > 0 && outcomes.length === 0
            ? { say: 'I wait.', act: { kind: 'run', command: `sleep ${waitS}`, about: 'Wait' } }
            : { say: 'All is well.', act: undefined },
      });
      await mkdir(home.paths.config, { recursive: true, mode: 0o700 });
      const rule = ['network:', '  - host: api.anthropic.com', `    upstream: ${api.url}`];
      const policy = ['version: 1', 'agent: { name: claude, permissions: skip }', ...rule, ''];
      await writeFile(join(home.paths.config, 'policy.yaml'), policy.join('\n'), { mode: 0o600 });
      expect((await logIn()).code).toBe(0);
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
      const calls = api.requests.filter(({ path }) => path.startsWith('/v1/messages'));
      expect(calls.length).toBeGreaterThanOrEqual(6);
      expect(calls.filter(({ authorized }) => !authorized)).toEqual([]);
    }, 120_000);

    it('a renewal that the client itself asks for is answered with stand-ins, and reaches no server', async () => {
      const before = server.counts.refreshes;
      const startedMs = performance.now();
      const file = '/home/agent/.claude/.credentials.json';
      await home.casemate(['exec', 'first', '--', 'sed', '-i', 's/"expiresAt":[0-9]*/"expiresAt":1000/', file]);
      expect((await ask('first')).out).toBe('All is well.\n');
      const { out } = await home.casemate(['exec', 'first', '--', 'cat', file]);
      const { claudeAiOauth } = JSON.parse(out) as { claudeAiOauth: { accessToken: string; expiresAt: number } };
      expect(claudeAiOauth.expiresAt).toBeGreaterThan(Date.now());
      expect(claudeAiOauth.accessToken).toMatch(/^sk-ant-oat01-cmph_/);
      const journal = (await home.casemate(['journal', 'query', '--json'])).out;
      expect(journal).toMatch(/"local":true,"method":"POST","path":"\/v1\/oauth\/token"/);
      // At most those of the tokens' own age, which are due in the last fifth of each life: one that was, and those that came due meanwhile.
      const lives = Math.floor((performance.now() - startedMs) / (lifeS * 1000 * 0.8));
      expect(server.counts.refreshes - before).toBeLessThanOrEqual(1 + lives);
    }, 60_000);

    it('nobody logs in, logs out or makes a key from inside', async () => {
      const post = async (url: string, body: string): Promise<string> => {
        const args = ['curl', '-sS', '-w', ' %{http_code}', '-H', 'content-type: application/json', '-d', body, url];
        return (await home.casemate(['exec', 'first', '--', ...args])).out;
      };
      const { revoked } = server.counts;
      const host = 'https://platform.claude.com/v1/oauth/token';
      expect(await post(host, '{"grant_type":"authorization_code","code":"x"}')).toMatch(/nobody logs in or out.* 403$/);
      expect(await post(host, '{"grant_type":"refresh_token","refresh_token":"sk-ant-ort01-other"}')).toMatch(
        /invalid_grant.* 400$/,
      );
      expect(await post(`${host}/revoke`, '{"token":"x"}')).toMatch(/ 200$/);
      expect(await post('https://api.anthropic.com/api/oauth/claude_cli/create_api_key', '{}')).toMatch(/ 403$/);
      await home.casemate(['exec', 'second', '--', 'claude', 'auth', 'logout']);
      expect(server.counts.revoked).toBe(revoked);
      expect((await ask('first')).out).toBe('All is well.\n');
    }, 60_000);

    it('no real token is in the environment, the files or the memory of a sandbox', async () => {
      waitS = 6;
      const asking = ask('first');
      await sleep(4000);
      const phantom = JSON.parse((await home.casemate(['inspect', 'first', '--json'])).out) as {
        phantoms: string[];
        folder: string;
      };
      // The part that all real ones of a server have in common is each one's own, so every one is looked for.
      const needles = [
        ...server.issued.map((text, index) => ({ name: `real ${index}`, text })),
        { name: 'stand-in', text: (phantom.phantoms[0] ?? '').slice(0, 60) },
      ];
      const client = await connectClient({ socketPath: socketPath(home.paths), answer: async () => ({}) });
      const { pids } = await client.call('processes', { name: 'first' });
      client.close();
      const inside = ['home/agent', 'tmp', 'run', 'etc'].map((folder) => `/proc/${pids[0]}/root/${folder}`);
      let report = emptyReport(needles);
      for (const folder of inside) {
        report = joinReports(report, await searchFolder(folder, needles));
      }
      for (const pid of pids) {
        report = joinReports(report, await searchProcess(pid, needles));
      }
      waitS = 0;
      await asking;
      expect(report.bytes).toBeGreaterThan(10 * 1024 * 1024);
      expect(report.seen['stand-in']?.length).toBeGreaterThan(0);
      expect(Object.entries(report.seen).filter(([name, places]) => name.startsWith('real') && places.length > 0)).toEqual([]);
    }, 90_000);

    it('the daemon is killed while a renewal is under way: the sandboxes go on with the same login', async () => {
      await sleep(lifeS * 1000);
      server.fail({ kind: 'slow', ms: 3000 });
      const before = server.counts.refreshes;
      const asking = ask('first');
      while (server.counts.refreshes === before) {
        await sleep(50);
      }
      process.kill(await daemonPid(), 'SIGKILL');
      server.fail(undefined);
      // The command line brings a new daemon up, which takes the sandboxes back.
      await asking;
      const outcomes = await Promise.all(names.map(ask));
      expect(outcomes.map(({ out }) => out)).toContain('All is well.\n');
      expect((await ask('first')).out).toBe('All is well.\n');
      expect(server.counts.reused).toBe(0);
    }, 120_000);

    it('an answer that ends the login is one clear message, and the server is not asked again', async () => {
      await sleep(lifeS * 1000);
      server.fail({ kind: 'invalid_grant' });
      const before = server.counts.refreshes;
      const { code, out, err } = await ask('first');
      expect(code).not.toBe(0);
      expect(out + err).toMatch(/the login of claude has ended: the authorization server answered invalid_grant/);
      expect(out + err).toMatch(/casemate login/);
      await ask('second');
      expect(server.counts.refreshes - before).toBe(1);
      expect((await home.casemate(['login', '--status'])).out).toMatch(
        /claude: .*ended: the authorization server answered invalid_grant/,
      );
      server.fail(undefined);
      expect((await logIn()).code).toBe(0);
      expect((await ask('first')).out).toBe('All is well.\n');
    }, 120_000);

    it('logging out ends it at the server, too', async () => {
      const { revoked } = server.counts;
      expect((await home.casemate(['logout', 'claude'])).out).toBe('claude: ended at its server and removed\n');
      expect(server.counts.revoked).toBe(revoked + 1);
      expect((await home.casemate(['login', '--status'])).out).toBe('no logins\n');
    }, 60_000);
  },
);
