import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { wholeWayLacks, type Home } from '../helpers/cli.ts';
import { makeLoginLab, type LoginLab } from '../helpers/login-lab.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

const account = 'acc-7d2f';
const authFile = '/home/agent/.codex/auth.json';

describe.skipIf(!engineOrSkip('oci', await wholeWayLacks(['codex'])))(
  'the login of a subscription, with the real Codex client',
  () => {
    let lab: LoginLab;
    let home: Home;

    const readAuth = async (name: string): Promise<AuthFile> =>
      JSON.parse((await home.casemate(['exec', name, '--', 'cat', authFile])).out) as AuthFile;

    beforeAll(async () => {
      lab = await makeLoginLab({
        name: 'codex',
        lifeS: 5,
        file: '.codex/auth.json',
        login: ({ accessToken, refreshToken }) => ({
          auth_mode: 'chatgpt',
          tokens: { access_token: accessToken, refresh_token: refreshToken, id_token: accessToken, account_id: account },
        }),
        host: 'chatgpt.com',
        command: ['codex', 'exec', '--dangerously-bypass-approvals-and-sandbox', '--skip-git-repo-check'],
      });
      ({ home } = lab);
    }, 240_000);

    afterAll(() => lab.remove());

    it('two sandboxes at once work past several expiries, and each token is renewed once', async () => {
      await lab.askPastExpiries();
      const { requests } = lab.api;
      const calls = requests.filter(({ method, path }) => method === 'POST' && path === '/backend-api/codex/responses');
      expect(calls.length).toBeGreaterThanOrEqual(6);
      const asked = requests.filter(({ path }) => path === '/backend-api/wham/accounts/check');
      expect(asked.length).toBeGreaterThanOrEqual(6);
      expect([...calls, ...asked].filter(({ authorized }) => !authorized)).toEqual([]);
    }, 240_000);

    it('a renewal that the client itself asks for is answered with stand-ins, and it goes on with them', async () => {
      const before = lab.server.counts.refreshes;
      const startedMs = performance.now();
      const { tokens: first } = await readAuth('first');
      const aged = agedToken(first.access_token);
      const swap = `s|${first.access_token}|${aged}|`;
      expect((await home.casemate(['exec', 'first', '--', 'sed', '-i', swap, authFile])).code).toBe(0);
      expect((await readAuth('first')).tokens.access_token).toBe(aged);
      expect(await lab.ask('first')).toMatchObject({ code: 0, out: 'All is well.\n' });
      const { tokens } = await readAuth('first');
      expect(tokens.access_token).not.toBe(aged);
      expect(tokens.refresh_token).toMatch(/^rt_cmph_/);
      expect((await home.casemate(['journal', 'query', '--json'])).out).toMatch(
        /"local":true,"method":"POST","path":"\/oauth\/token"/,
      );
      expect(lab.server.counts.refreshes - before).toBeLessThanOrEqual(lab.dueSince(startedMs));
      expect(await lab.ask('first')).toMatchObject({ code: 0, out: 'All is well.\n' });
    }, 240_000);

    it('nobody logs in or out from inside', async () => {
      const { revoked } = lab.server.counts;
      await home.casemate(['exec', 'second', '--', 'codex', 'logout']);
      const url = 'https://auth.openai.com/api/accounts/deviceauth/usercode';
      const answered = await home.casemate(['exec', 'second', '--', 'curl', '-sS', '-w', ' %{http_code}', '-d', '{}', url]);
      expect(answered.out).toMatch(/nobody logs in or out.* 403$/);
      expect(lab.server.counts.revoked).toBe(revoked);
      expect((await lab.ask('first')).out).toBe('All is well.\n');
    }, 240_000);

    it('no real token is in the environment, the files or the memory of a sandbox', async () => {
      const { bytes, standIns, real } = await lab.keysInside('first');
      expect(bytes).toBeGreaterThan(10 * 1024 * 1024);
      expect(standIns).toBeGreaterThan(0);
      expect(real).toEqual([]);
    }, 240_000);
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
