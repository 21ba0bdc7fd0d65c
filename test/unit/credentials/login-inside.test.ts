import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { bindLogin, type BoundLogin } from '../../../src/credentials/login/bind-login.ts';
import { beginCodeFlow } from '../../../src/credentials/login/code-flow.ts';
import { familyFrom } from '../../../src/credentials/login/import-login.ts';
import { oauthClientOf, type OAuthClient } from '../../../src/credentials/login/oauth-clients.ts';
import { outcomeOf } from '../../../src/credentials/login/token-request.ts';
import { hasPhantom } from '../../../src/credentials/phantom.ts';

const spanMs = 4 * 3_600_000;
const time = { nowMs: 100 * spanMs };

function bound(agent = 'claude', sandboxId = 'cm-1'): BoundLogin {
  const owner = { sandboxId, credentialName: `${agent}-login`, installationKey: new Uint8Array(32).fill(7) };
  const login = bindLogin(agent, owner, { account: { plan: 'pro', accountId: 'account-1' }, nowMs: () => time.nowMs });
  if (login === undefined) {
    throw new Error('no such login');
  }
  return login;
}

function client(agent: string): OAuthClient {
  const found = oauthClientOf(agent);
  if (found === undefined) {
    throw new Error('no such client');
  }
  return found;
}

const post = async (login: BoundLogin, body: string, place: { host?: string; path?: string } = {}) => {
  const { host = 'platform.claude.com', path = '/v1/oauth/token' } = place;
  const { status, body: answer } = await login.local.answer({ host, path, method: 'POST', body: Buffer.from(body) });
  return { status, value: JSON.parse(answer.toString('utf8')) as Record<string, unknown> };
};

describe('stand-ins of a login', () => {
  test('they have the form of real tokens, the mark of a phantom, and are each sandbox’s own', () => {
    const { accessToken, refreshToken } = bound().standIns.now();
    expect(accessToken).toMatch(/^sk-ant-oat01-[A-Za-z0-9_-]{93}AA$/);
    expect(refreshToken).toMatch(/^sk-ant-ort01-[A-Za-z0-9_-]{93}AA$/);
    expect([accessToken, refreshToken].every(hasPhantom)).toBe(true);
    expect(bound('claude', 'cm-2').standIns.now().accessToken).not.toBe(accessToken);
  });

  test('they are the same after a restart; those before are taken for one span more, and no longer', () => {
    const { accessToken } = bound().standIns.now();
    expect(bound().standIns.now().accessToken).toBe(accessToken);
    time.nowMs += spanMs;
    expect(bound().standIns.now().accessToken).not.toBe(accessToken);
    expect(bound().standIns.all()).toContain(accessToken);
    time.nowMs += spanMs;
    expect(bound().standIns.all()).not.toContain(accessToken);
  });

  test.each(['claude', 'codex'])(
    'of %s they are known for the sandbox’s own when the clock was set, and for no other’s',
    (agent) => {
      const { standIns } = bound(agent);
      const { accessToken, refreshToken, idToken } = standIns.now();
      for (const step of [-20 * spanMs, 20 * spanMs]) {
        time.nowMs += step;
        expect(standIns.all()).not.toContain(accessToken);
        expect(standIns.isAccess(accessToken)).toBe(true);
        expect(bound(agent, 'cm-2').standIns.isAccess(accessToken)).toBe(false);
        for (const text of [refreshToken, idToken, `${accessToken}x`, `${accessToken}.x`, accessToken.slice(0, -1)]) {
          expect(standIns.isAccess(text)).toBe(false);
        }
        time.nowMs -= step;
      }
    },
  );

  test('each is taken at least until the end it states', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 10 * spanMs }), fc.double({ min: 0, max: 0.999, noNaN: true }), (start, share) => {
        time.nowMs = 100 * spanMs + start;
        const { accessToken, expiresMs } = bound().standIns.now();
        expect(expiresMs - time.nowMs).toBeGreaterThan(spanMs);
        time.nowMs += Math.floor((expiresMs - time.nowMs) * share);
        expect(bound().standIns.all()).toContain(accessToken);
      }),
    );
    time.nowMs = 100 * spanMs;
  });

  test('what Codex reads out of its tokens is there, and signed by nobody', () => {
    const { accessToken, idToken, expiresMs } = bound('codex').standIns.now();
    const claims = (token: string): unknown => JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
    expect(claims(accessToken)).toEqual({ exp: Math.floor(expiresMs / 1000) });
    expect(claims(idToken)).toMatchObject({
      'https://api.openai.com/auth': { chatgpt_plan_type: 'pro', chatgpt_account_id: 'account-1' },
    });
    expect(idToken.split('.')[2]).toMatch(/^cmph_/);
  });
});

describe('the authorization server as a sandbox sees it', () => {
  test('a renewal, as JSON and as a form, gives the stand-ins of now', async () => {
    const login = bound();
    const { refreshToken, accessToken } = login.standIns.now();
    const asJson = await post(login, JSON.stringify({ grant_type: 'refresh_token', refresh_token: refreshToken, scope: 'a b' }));
    const asForm = await post(
      login,
      new URLSearchParams({ grant_type: 'refresh_token', refresh_token: refreshToken }).toString(),
    );
    expect(asJson).toMatchObject({ status: 200, value: { access_token: accessToken, scope: 'a b' } });
    expect(asForm).toMatchObject({ status: 200, value: { access_token: accessToken } });
  });

  test('a refresh token from weeks ago is still answered, one of another sandbox or of anybody else is not', async () => {
    const old = bound().standIns.now().refreshToken;
    time.nowMs += 100 * spanMs;
    const ask = async (token: string) =>
      (await post(bound(), JSON.stringify({ grant_type: 'refresh_token', refresh_token: token }))).status;
    expect(await ask(old)).toBe(200);
    expect(await ask(bound('claude', 'cm-2').standIns.now().refreshToken)).toBe(400);
    expect(await ask('sk-ant-ort01-real')).toBe(400);
  });

  test('codes, devices and everything that is not known are refused in words', async () => {
    for (const body of [
      '{"grant_type":"authorization_code"}',
      '{"grant_type":"urn:ietf:params:oauth:grant-type:device_code"}',
      '',
      '[',
    ]) {
      const { status, value } = await post(bound(), body);
      expect({ status, error: value['error'] }).toEqual({ status: 403, error: 'access_denied' });
      expect(value['error_description']).toMatch(/casemate login/);
    }
  });

  test('whatever is sent there, no answer holds anything but stand-ins and our own words', async () => {
    const login = bound();
    await fc.assert(
      fc.asyncProperty(fc.string(), fc.string(), async (body, rest) => {
        const { status, value } = await post(login, body, { path: `/${rest}` });
        expect([200, 400, 403]).toContain(status);
        expect(JSON.stringify(value)).not.toMatch(/sk-ant-o[ar]t01-(?!cmph_)/);
      }),
    );
  });

  test.each([
    ['api.anthropic.com', '/api/oauth/claude_cli/create_api_key', true],
    ['api.anthropic.com', '/api/oauth/claude_cli/%63reate_api_key', true],
    ['api.anthropic.com', '/v1/oauth/token', true],
    ['api.anthropic.com', '/v1/OAuth/Token', true],
    ['platform.claude.com', '/anything', true],
    ['api.anthropic.com', '/v1/messages', false],
    ['api.anthropic.com', '/api/oauth/profile', false],
  ])('%s%s is answered on the host: %s', (host, path, isLocal) => {
    expect(bound().local.answers({ host, path, method: 'POST' })).toBe(isLocal);
  });

  test('a key that would outlive the sandbox is not made, whatever the rules allow', async () => {
    const place = { host: 'api.anthropic.com', path: '/api/oauth/claude_cli/create_api_key' };
    expect(await post(bound(), '{}', place)).toMatchObject({ status: 403 });
  });
});

describe('what an authorization server answers', () => {
  test.each([
    [200, '{"access_token":"a","expires_in":60}', 'tokens'],
    [200, '{"access_token":"a\\nb"}', 'temporary'],
    [200, '<html>', 'temporary'],
    [400, '{"error":"invalid_grant"}', 'terminal'],
    [400, '{"error":"invalid_client"}', 'terminal'],
    [400, '{"error":"unauthorized_client"}', 'terminal'],
    [403, '{"error":"access_denied"}', 'terminal'],
    [401, '{"error":{"code":"refresh_token_reused","message":"x"}}', 'terminal'],
    [401, 'Unauthorized', 'temporary'],
    [403, '<html>a proxy</html>', 'temporary'],
    [429, '{"error":"slow_down"}', 'temporary'],
    [500, '{"error":"server_error"}', 'temporary'],
  ])('%i with %s is %s', (status, body, kind) => {
    expect(outcomeOf({ status, body }, 0).kind).toBe(kind);
  });

  test('nothing that it says makes a fault of ours', () => {
    fc.assert(
      fc.property(fc.integer({ min: 100, max: 599 }), fc.oneof(fc.string(), fc.json()), (status, body) => {
        expect(['tokens', 'terminal', 'temporary']).toContain(outcomeOf({ status, body }, 0).kind);
      }),
    );
  });
});

describe('a login of our own', () => {
  test('asks with PKCE, for no more than the agent needs, and takes the code of this login alone', async () => {
    const claude = client('claude');
    const flow = beginCodeFlow(claude, { server: claude.server, redirectUri: undefined });
    const { searchParams, origin } = new URL(flow.url);
    expect(origin).toBe('https://claude.com');
    expect(searchParams.get('code_challenge_method')).toBe('S256');
    expect(searchParams.get('scope')).not.toContain('create_api_key');
    const never = async (): Promise<never> => {
      throw new Error('nothing is sent');
    };
    await expect(flow.finish('code#another-state', never, () => 0)).rejects.toThrow(/not the code of the login that was begun/);
    const sent: string[] = [];
    const state = searchParams.get('state') ?? '';
    const family = await flow.finish(
      `  the-code#${state}\n`,
      async ({ body }) => {
        sent.push(body);
        return { status: 200, body: '{"access_token":"access","refresh_token":"refresh","expires_in":60}' };
      },
      () => 1000,
    );
    expect(JSON.parse(sent[0] ?? '')).toMatchObject({ grant_type: 'authorization_code', code: 'the-code', state });
    expect(family).toMatchObject({ accessToken: 'access', expiresMs: 61_000, origin: 'browser' });
  });
});

describe('a login that the host already has', () => {
  const facts = { server: client('claude').server, nowMs: 5 };

  test('of Claude Code, of Codex, and a single long-lived token', () => {
    const claude = {
      accessToken: 'sk-ant-oat01-x',
      refreshToken: 'sk-ant-ort01-x',
      expiresAt: 9,
      scopes: ['a'],
      subscriptionType: 'max',
    };
    expect(familyFrom(client('claude'), JSON.stringify({ claudeAiOauth: claude }), facts)).toMatchObject({
      plan: 'max',
      expiresMs: 9,
    });
    const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    const tokens = {
      access_token: `e.${part({ exp: 7 })}.s`,
      refresh_token: 'refresh-x',
      id_token: `e.${part({ sub: 'somebody' })}.s`,
      account_id: 'acc',
    };
    expect(familyFrom(client('codex'), JSON.stringify({ tokens }), facts)).toMatchObject({ accountId: 'acc', expiresMs: 7000 });
    expect(familyFrom(client('claude'), 'sk-ant-oat01-abcdef\n', facts)).toMatchObject({ origin: 'token' });
  });

  test('anything else is refused, and the text is in no message', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ minLength: 12 }), fc.json()), fc.constantFrom('claude', 'codex'), (text, agent) => {
        const marked = `${text} secret-marker`;
        expect(() => familyFrom(client(agent), marked, facts)).toThrow(/is no login of/);
        expect(() => familyFrom(client(agent), marked, facts)).not.toThrow(/secret-marker/);
      }),
    );
  });
});
