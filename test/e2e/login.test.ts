import { setTimeout as sleep } from 'node:timers/promises';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { wholeWayLacks, type Home } from '../helpers/cli.ts';
import { makeLoginLab, type LoginLab } from '../helpers/login-lab.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

const lifeS = 4;

describe.skipIf(!engineOrSkip('oci', await wholeWayLacks(['claude'])))(
  'the login of a subscription, with the real client',
  () => {
    let lab: LoginLab;
    let home: Home;

    const daemonPid = async (): Promise<number> =>
      (JSON.parse((await home.casemate(['daemon', 'status', '--json'])).out) as { daemon: { pid: number } }).daemon.pid;

    beforeAll(async () => {
      lab = await makeLoginLab({
        name: 'claude',
        lifeS,
        file: '.claude/.credentials.json',
        login: ({ accessToken, refreshToken, expiresMs }) => ({
          claudeAiOauth: {
            accessToken,
            refreshToken,
            expiresAt: expiresMs,
            scopes: ['user:inference'],
            subscriptionType: 'max',
          },
        }),
        host: 'api.anthropic.com',
        command: ['claude', '-p', '--dangerously-skip-permissions'],
      });
      ({ home } = lab);
    }, 240_000);

    afterAll(() => lab.remove());

    it('two sandboxes at once work past several expiries, and each token is renewed once', async () => {
      await lab.askPastExpiries();
      const calls = lab.api.requests.filter(({ path }) => path.startsWith('/v1/messages'));
      expect(calls.length).toBeGreaterThanOrEqual(6);
      expect(calls.filter(({ authorized }) => !authorized)).toEqual([]);
    }, 240_000);

    it('a renewal that the client itself asks for is answered with stand-ins, and reaches no server', async () => {
      const before = lab.server.counts.refreshes;
      const startedMs = performance.now();
      const file = '/home/agent/.claude/.credentials.json';
      await home.casemate(['exec', 'first', '--', 'sed', '-i', 's/"expiresAt":[0-9]*/"expiresAt":1000/', file]);
      expect((await lab.ask('first')).out).toBe('All is well.\n');
      const { out } = await home.casemate(['exec', 'first', '--', 'cat', file]);
      const { claudeAiOauth } = JSON.parse(out) as { claudeAiOauth: { accessToken: string; expiresAt: number } };
      expect(claudeAiOauth.expiresAt).toBeGreaterThan(Date.now());
      expect(claudeAiOauth.accessToken).toMatch(/^sk-ant-oat01-cmph_/);
      const journal = (await home.casemate(['journal', 'query', '--json'])).out;
      expect(journal).toMatch(/"local":true,"method":"POST","path":"\/v1\/oauth\/token"/);
      expect(lab.server.counts.refreshes - before).toBeLessThanOrEqual(lab.dueSince(startedMs));
    }, 240_000);

    it('nobody logs in, logs out or makes a key from inside', async () => {
      const post = async (url: string, body: string): Promise<string> => {
        const args = ['curl', '-sS', '-w', ' %{http_code}', '-H', 'content-type: application/json', '-d', body, url];
        return (await home.casemate(['exec', 'first', '--', ...args])).out;
      };
      const { revoked } = lab.server.counts;
      const host = 'https://platform.claude.com/v1/oauth/token';
      expect(await post(host, '{"grant_type":"authorization_code","code":"x"}')).toMatch(/nobody logs in or out.* 403$/);
      expect(await post(host, '{"grant_type":"refresh_token","refresh_token":"sk-ant-ort01-other"}')).toMatch(
        /invalid_grant.* 400$/,
      );
      expect(await post(`${host}/revoke`, '{"token":"x"}')).toMatch(/ 200$/);
      expect(await post('https://api.anthropic.com/api/oauth/claude_cli/create_api_key', '{}')).toMatch(/ 403$/);
      await home.casemate(['exec', 'second', '--', 'claude', 'auth', 'logout']);
      expect(lab.server.counts.revoked).toBe(revoked);
      expect((await lab.ask('first')).out).toBe('All is well.\n');
    }, 240_000);

    it('no real token is in the environment, the files or the memory of a sandbox', async () => {
      const { bytes, standIns, real } = await lab.keysInside('first');
      expect(bytes).toBeGreaterThan(10 * 1024 * 1024);
      expect(standIns).toBeGreaterThan(0);
      expect(real).toEqual([]);
    }, 240_000);

    it('the daemon is killed while a renewal is under way: the sandboxes go on with the same login', async () => {
      await sleep(lifeS * 1000);
      lab.server.fail({ kind: 'slow', ms: 3000 });
      const before = lab.server.counts.refreshes;
      const asking = lab.ask('first');
      while (lab.server.counts.refreshes === before) {
        await sleep(50);
      }
      process.kill(await daemonPid(), 'SIGKILL');
      lab.server.fail(undefined);
      // The command line brings a new daemon up, which takes the sandboxes back.
      await asking;
      const outcomes = await Promise.all(lab.names.map(lab.ask));
      expect(outcomes.map(({ out }) => out)).toContain('All is well.\n');
      expect((await lab.ask('first')).out).toBe('All is well.\n');
      expect(lab.server.counts.reused).toBe(0);
    }, 240_000);

    it('an answer that ends the login is one clear message, and the server is not asked again', async () => {
      await sleep(lifeS * 1000);
      lab.server.fail({ kind: 'invalid_grant' });
      const before = lab.server.counts.refreshes;
      const { code, out, err } = await lab.ask('first');
      expect(code).not.toBe(0);
      expect(out + err).toMatch(/the login of claude has ended: the authorization server answered invalid_grant/);
      expect(out + err).toMatch(/casemate login/);
      await lab.ask('second');
      expect(lab.server.counts.refreshes - before).toBe(1);
      expect((await home.casemate(['login', '--status'])).out).toMatch(
        /claude: .*ended: the authorization server answered invalid_grant/,
      );
      // A daemon that comes meanwhile takes the sandboxes back: with a login they go on from where they are.
      process.kill(await daemonPid(), 'SIGKILL');
      const sandboxes = JSON.parse((await home.casemate(['ls', '--json'])).out) as { state: string }[];
      expect(sandboxes.map(({ state }) => state)).toEqual(['running', 'running']);
      expect((await lab.ask('first')).out).not.toContain('All is well.');
      lab.server.fail(undefined);
      expect((await lab.logIn()).code).toBe(0);
      expect((await lab.ask('first')).out).toBe('All is well.\n');
    }, 240_000);

    it('logging out ends it at the server, too', async () => {
      const { revoked } = lab.server.counts;
      expect((await home.casemate(['logout', 'claude'])).out).toBe('claude: ended at its server and removed\n');
      expect(lab.server.counts.revoked).toBe(revoked + 1);
      expect((await home.casemate(['login', '--status'])).out).toBe('no logins\n');
    }, 240_000);
  },
);
