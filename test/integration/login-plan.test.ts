import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { connectClient } from '../../src/daemon/client.ts';
import { socketPath } from '../../src/daemon/protocol.ts';
import { startAuthorizationServer, type AuthorizationServer } from '../helpers/authorization-server.ts';
import { makeHome, type Home } from '../helpers/cli.ts';

/** A login in the browser, and one that was taken over, end with the plan of the subscription known. */

let home: Home;
let server: AuthorizationServer;

beforeAll(async () => {
  home = await makeHome();
  server = await startAuthorizationServer({ expiresIn: 3600 });
});

afterAll(async () => {
  await home.remove();
  await server.close();
});

test('after a login in the browser the plan is looked up, and nothing else of the account is kept', async () => {
  expect((await home.casemate(['login', '--status'])).code).toBe(0);
  const client = await connectClient({ socketPath: socketPath(home.paths), answer: async () => ({}) });
  const { id, url } = await client.call('login-begin', { agent: 'claude', server: server.url });
  const code = (await (await fetch(url)).text()).trim();
  const shown = await client.call('login-finish', { id, code });
  client.close();
  expect(shown).toMatchObject({ agent: 'claude', origin: 'browser', plan: 'max' });
  const status = await home.casemate(['login', '--status', '--json']);
  expect(JSON.parse(status.out)).toMatchObject([{ plan: 'max' }]);
  expect(JSON.stringify(shown) + status.out).not.toMatch(/person@example|A Person|stand-in/);
});

test('a login that was taken over without its plan gets it too; one that tells it is not asked about', async () => {
  const takeOver = async (more: object): Promise<string> => {
    const { accessToken, refreshToken, expiresMs } = server.grant();
    const folder = join(home.env['HOME'] ?? '', '.claude');
    await mkdir(folder, { recursive: true });
    const login = { accessToken, refreshToken, expiresAt: expiresMs, scopes: ['user:inference'], ...more };
    await writeFile(join(folder, '.credentials.json'), JSON.stringify({ claudeAiOauth: login }), { mode: 0o600 });
    return (await home.casemate(['login', 'claude', '--import', '--yes', '--server', server.url])).out;
  };
  expect(await takeOver({})).toContain('plan max');
  expect(await takeOver({ subscriptionType: 'team' })).toContain('plan team');
});
