import { expect, test } from 'vitest';

import type { HostRequest, SendOnHost } from '../../../src/credentials/host-request.ts';
import { lookUpPlan } from '../../../src/credentials/login/look-up-plan.ts';
import { oauthClients } from '../../../src/credentials/login/oauth-clients.ts';

const accessToken = 'sk-ant-oat01-real';
const answering = (status: number, body: string): SendOnHost & { readonly asked: HostRequest[] } => {
  const asked: HostRequest[] = [];
  return Object.assign(
    async (request: HostRequest) => {
      asked.push(request);
      return { status, body };
    },
    { asked },
  );
};
const client = (agent: string) => oauthClients[agent] ?? expect.fail(agent);
const profileOf = (type: unknown): string =>
  JSON.stringify({ account: { email: 'person@example.com' }, organization: { organization_type: type } });

test.each(['max', 'pro', 'team', 'enterprise'])(
  'the plan %s is had by one call to the maker, with the token in its header alone',
  async (plan) => {
    const send = answering(200, profileOf(`claude_${plan}`));
    expect(await lookUpPlan(client('claude'), { accessToken, origin: undefined }, send)).toBe(plan);
    expect(send.asked).toEqual([
      {
        url: 'https://api.anthropic.com/api/oauth/profile',
        method: 'GET',
        fields: [['authorization', `Bearer ${accessToken}`]],
        body: undefined,
        timeoutMs: 10_000,
      },
    ]);
  },
);

test('a token of another server is shown to that server alone', async () => {
  const send = answering(200, profileOf('claude_max'));
  await lookUpPlan(client('claude'), { accessToken, origin: 'http://127.0.0.1:4711' }, send);
  expect(send.asked.map(({ url }) => url)).toEqual(['http://127.0.0.1:4711/api/oauth/profile']);
});

test('without an answer that is understood the plan stays unknown, and nothing is thrown', async () => {
  const ask = (send: SendOnHost) => lookUpPlan(client('claude'), { accessToken, origin: undefined }, send);
  for (const [status, body] of [
    [401, profileOf('claude_max')],
    [302, profileOf('claude_max')],
    [200, 'no JSON'],
    [200, profileOf('claude_\u001b[31m')],
    [200, profileOf(7)],
    [200, profileOf('__proto__')],
    [200, '{}'],
  ] as const) {
    expect(await ask(answering(status, body))).toBeUndefined();
  }
  expect(await ask(() => Promise.reject(new Error(accessToken)))).toBeUndefined();
});

test('where the tokens tell the plan nobody is asked', async () => {
  const send = answering(200, profileOf('claude_max'));
  expect(await lookUpPlan(client('codex'), { accessToken, origin: undefined }, send)).toBeUndefined();
  expect(send.asked).toEqual([]);
});
