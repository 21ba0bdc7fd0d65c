import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { createLoginKeeper, type LoginKeeper } from '../../../src/credentials/login/login-keeper.ts';
import type { LoginEvent } from '../../../src/credentials/login/login-options.ts';
import { oauthClients } from '../../../src/credentials/login/oauth-clients.ts';
import type { TokenFamily } from '../../../src/credentials/login/token-family.ts';
import { UnsentError, type TokenPost, type TokenReply } from '../../../src/credentials/login/token-request.ts';

type SealedMap = Map<string, { note: Readonly<Record<string, unknown>>; value: unknown }>;

/** A server that ends the family when a used refresh token comes again, and a disk that outlives the keeper. */
interface World {
  nowMs: number;
  current: string;
  isAlive: boolean;
  issued: number;
  readonly sent: string[];
  /** what the server does with the next requests, one each; then it answers as it should */
  readonly faults: ('500' | 'unsent' | 'lost' | 'invalid_client')[];
  readonly disk: SealedMap;
  readonly events: LoginEvent[];
  isDead: boolean;
  beforeAnswer: () => Promise<void>;
  beforeWrite: (value: unknown) => Promise<void>;
}

const lifeMs = 3_600_000;
const client = oauthClients['claude'];

function newWorld(): World {
  const world: World = {
    nowMs: 1_000_000,
    current: 'refresh-0',
    isAlive: true,
    issued: 0,
    sent: [],
    faults: [],
    disk: new Map(),
    events: [],
    isDead: false,
    beforeAnswer: async () => undefined,
    beforeWrite: async () => undefined,
  };
  return world;
}

const family = (changes: Partial<TokenFamily> = {}): TokenFamily => ({
  accessToken: 'access-0',
  refreshToken: 'refresh-0',
  expiresMs: 1_000_000 + lifeMs,
  gotMs: 1_000_000,
  scopes: ['user:inference'],
  clientId: client?.clientId ?? '',
  server: client?.server ?? { authorizeUrl: '', tokenUrl: '', revokeUrl: '' },
  origin: 'browser',
  ...changes,
});

function answer(world: World, refreshToken: string): TokenReply {
  if (!world.isAlive || refreshToken !== world.current) {
    world.isAlive = false;
    return { status: 400, body: '{"error":"invalid_grant"}' };
  }
  world.issued += 1;
  world.current = `refresh-${world.issued}`;
  const tokens = { access_token: `access-${world.issued}`, refresh_token: world.current, expires_in: lifeMs / 1000 };
  return { status: 200, body: JSON.stringify(tokens) };
}

function daemon(world: World): LoginKeeper {
  let isKilled = false;
  const alive = async (): Promise<void> => {
    isKilled ||= world.isDead;
    if (isKilled) {
      await new Promise(() => undefined);
    }
  };
  const post: TokenPost = async ({ body }) => {
    const { refresh_token: sent } = JSON.parse(body) as { refresh_token: string };
    const fault = world.faults.shift();
    if (fault === 'unsent') {
      throw new UnsentError('the host has no network');
    }
    world.sent.push(sent);
    if (fault === '500') {
      return { status: 500, body: 'oops' };
    }
    if (fault === 'invalid_client') {
      return { status: 401, body: '{"error":"invalid_client"}' };
    }
    const reply = answer(world, sent);
    await world.beforeAnswer();
    await alive();
    if (fault === 'lost') {
      throw new Error(`broken: ${sent}`);
    }
    return reply;
  };
  return createLoginKeeper({
    post,
    random: () => 0.5,
    clock: { nowMs: () => world.nowMs, monotonicMs: () => world.nowMs },
    async onEvent(event) {
      world.events.push(event);
    },
    store: {
      get: async (_, name) => world.disk.get(name)?.value,
      list: async () => [...world.disk].map(([name, { note }]) => ({ name, note })),
      remove: async (_, name) => world.disk.delete(name),
      async put({ name, note, value }) {
        await world.beforeWrite(value);
        await alive();
        world.disk.set(name, { note, value: structuredClone(value) });
      },
    },
  });
}

async function token(keeper: LoginKeeper): Promise<string | undefined> {
  const material = await keeper.obtain('claude');
  return material?.kind === 'text' ? material.secret.reveal() : undefined;
}

async function lab(changes?: Partial<TokenFamily>): Promise<{ world: World; keeper: LoginKeeper }> {
  const world = newWorld();
  const keeper = daemon(world);
  await keeper.put('claude', family(changes));
  return { world, keeper };
}

const settle = async (): Promise<void> => await new Promise((resolve) => setTimeout(resolve, 5));

describe('a login kept on the host', () => {
  test('a token that still lasts is given as it is, and nobody is asked', async () => {
    const { world, keeper } = await lab();
    expect(await token(keeper)).toBe('access-0');
    expect(world.sent).toEqual([]);
  });

  test('before its end it is renewed once, however many ask at the same time', async () => {
    const { world, keeper } = await lab();
    world.nowMs += lifeMs - 60_000;
    const got = await Promise.all(Array.from({ length: 50 }, () => token(keeper)));
    expect(new Set(got)).toEqual(new Set(['access-1']));
    expect(world.sent).toEqual(['refresh-0']);
  });

  test('the new refresh token is on disk before anybody has the new access token', async () => {
    const { world, keeper } = await lab();
    world.nowMs += lifeMs;
    let onDisk = Promise.withResolvers<void>();
    world.beforeWrite = async (value) => {
      if (JSON.stringify(value).includes('refresh-1')) {
        await onDisk.promise;
      }
    };
    let given = 'nothing';
    const asking = token(keeper).then((value) => (given = value ?? ''));
    await settle();
    expect({ given, issued: world.issued }).toEqual({ given: 'nothing', issued: 1 });
    onDisk.resolve();
    await asking;
    expect(given).toBe('access-1');
    expect(JSON.stringify(world.disk.get('claude')?.value)).toContain('refresh-1');
    onDisk = Promise.withResolvers<void>();
  });

  test('a token that the upstream refuses is renewed, one that was just renewed for that is not', async () => {
    const { world, keeper } = await lab();
    keeper.rejected('claude', 'access-0');
    await settle();
    expect(await token(keeper)).toBe('access-1');
    keeper.rejected('claude', 'access-0');
    keeper.rejected('claude', 'access-1');
    await settle();
    expect(await token(keeper)).toBe('access-1');
    expect(world.sent).toEqual(['refresh-0']);
    world.nowMs += 61_000;
    keeper.rejected('claude', 'access-1');
    await settle();
    expect(await token(keeper)).toBe('access-2');
  });

  test.each(['invalid_client'] as const)(
    'the answer %s ends the login at once: one clear message, no second request',
    async (fault) => {
      const { world, keeper } = await lab();
      world.nowMs += lifeMs;
      world.faults.push(fault);
      for (let round = 0; round < 20; round += 1) {
        await expect(token(keeper)).rejects.toThrow(
          /login of claude has ended: the authorization server answered invalid_client/,
        );
        world.nowMs += 60_000;
      }
      expect(world.sent).toEqual(['refresh-0']);
      expect(world.events.map(({ outcome }) => outcome)).toEqual(['stopped']);
      const [view] = await keeper.list();
      expect(view?.stopped).toMatch(/invalid_client/);
      expect(await token(daemon(world)).catch((error: Error) => error.message)).toMatch(/has ended/);
    },
  );

  test('a server in trouble is asked again later and later; the old token serves as long as it lasts', async () => {
    const { world, keeper } = await lab();
    world.nowMs += lifeMs - 60_000;
    world.faults.push('500', '500', '500');
    for (let round = 0; round < 100; round += 1) {
      expect(await token(keeper)).toBe('access-0');
    }
    expect(world.sent).toEqual(['refresh-0']);
    world.nowMs += 1000;
    await token(keeper);
    world.nowMs += 1000;
    await token(keeper);
    expect(world.sent).toHaveLength(2);
    world.nowMs += 1000;
    await token(keeper);
    expect(world.sent).toHaveLength(3);
    world.nowMs += 60_000;
    expect(await token(keeper)).toBe('access-1');
  });

  test('without a network nothing is lost, whatever happens to the daemon meanwhile', async () => {
    const { world, keeper } = await lab();
    world.nowMs += lifeMs;
    world.faults.push('unsent', 'unsent', 'unsent', 'unsent');
    await expect(token(keeper)).rejects.toThrow(/could not be renewed yet/);
    for (let round = 0; round < 3; round += 1) {
      await expect(token(daemon(world))).rejects.toThrow(/could not be renewed yet/);
    }
    expect(await token(daemon(world))).toBe('access-1');
  });

  test('a daemon killed before its request arrived: the next one renews', async () => {
    const { world, keeper } = await lab();
    world.nowMs += lifeMs;
    world.faults.push('500');
    await token(keeper).catch(() => undefined);
    expect(world.disk.get('claude')?.value).toMatchObject({ pending: { tries: 1 } });
    expect(await token(daemon(world))).toBe('access-1');
    expect(world.disk.get('claude')?.value).not.toHaveProperty('pending');
  });

  test('a disk that is full when the answer comes does not cost the login: it is kept, and written when there is room', async () => {
    const { world, keeper } = await lab();
    world.nowMs += lifeMs;
    let isFull = false;
    world.beforeAnswer = async () => void (isFull = true);
    world.beforeWrite = async () => {
      if (isFull) {
        throw new Error('no space left');
      }
    };
    expect(await token(keeper)).toBe('access-1');
    expect(await token(keeper)).toBe('access-1');
    expect(JSON.stringify(world.disk.get('claude')?.value)).not.toContain('refresh-1');
    isFull = false;
    expect(await token(keeper)).toBe('access-1');
    expect(world.disk.get('claude')?.value).toMatchObject({ family: { refreshToken: 'refresh-1' } });
    expect(world.sent).toEqual(['refresh-0']);
    world.beforeAnswer = async () => undefined;
    world.nowMs += lifeMs;
    expect(await token(daemon(world))).toBe('access-2');
  });

  test('a daemon killed between answer and disk: the old token is tried once more, then the login ends and says why', async () => {
    const { world, keeper } = await lab();
    world.nowMs += lifeMs;
    world.beforeAnswer = async () => {
      world.isDead = true;
    };
    void token(keeper);
    await settle();
    world.isDead = false;
    world.beforeAnswer = async () => undefined;
    const next = daemon(world);
    await expect(token(next)).rejects.toThrow(/has ended: .*invalid_grant; an earlier renewal was cut off/);
    await expect(token(next)).rejects.toThrow(/has ended/);
    expect(world.sent).toEqual(['refresh-0', 'refresh-0']);
  });

  test('a token that cannot be renewed is given until its end, and then nobody asks a server', async () => {
    const { world, keeper } = await lab({ refreshToken: undefined, origin: 'token' });
    expect(await token(keeper)).toBe('access-0');
    world.nowMs += lifeMs;
    await expect(token(keeper)).rejects.toThrow(/has expired and cannot be renewed/);
    await expect(token(keeper)).rejects.toMatchObject({
      code: 'LOGIN_ENDED',
      hint: 'Log in again on the host: casemate login claude',
    });
    expect(world.sent).toEqual([]);
  });

  test('a login put anew takes the place of one that has ended', async () => {
    const { world, keeper } = await lab();
    world.nowMs += lifeMs;
    world.faults.push('invalid_client');
    await expect(token(keeper)).rejects.toThrow(/has ended/);
    await keeper.put('claude', family({ accessToken: 'access-new', expiresMs: world.nowMs + lifeMs, gotMs: world.nowMs }));
    expect(await token(keeper)).toBe('access-new');
    expect((await keeper.remove('claude'))?.accessToken).toBe('access-new');
    expect(await token(keeper)).toBeUndefined();
  });

  test('a login that is put while others ask is renewed by one of them alone', async () => {
    const { world, keeper } = await lab();
    world.nowMs += lifeMs;
    const asks = [token(keeper), keeper.put('claude', family()).then(() => token(keeper)), token(keeper)];
    await settle();
    await Promise.allSettled([...asks, token(keeper), token(keeper)]);
    expect(new Set(world.sent).size).toBe(world.sent.length);
  });

  test('no message and no event holds a token, even where the fault does', async () => {
    const { world, keeper } = await lab();
    world.nowMs += lifeMs;
    world.faults.push('lost');
    const message = await token(keeper).then(
      () => '',
      (error: unknown) => JSON.stringify([String(error), error]),
    );
    expect(message).toMatch(/could not be renewed/);
    expect(message + JSON.stringify(world.events)).not.toMatch(/refresh-\d|access-\d/);
  });
});

type Step = 'ask' | 'ask-many' | 'refuse' | 'pass' | '500' | 'unsent' | 'kill';

test('in whatever order things happen, no refresh token that gave tokens is sent again, and no family is lost', async () => {
  const step = fc.constantFrom<Step>('ask', 'ask-many', 'refuse', 'pass', '500', 'unsent', 'kill');
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const world = newWorld();
      let keeper = daemon(world);
      await keeper.put('claude', family());
      for (const one of steps) {
        if (one === 'kill') {
          // Between two requests: what is on disk is all that the next one knows.
          keeper = daemon(world);
        } else if (one === '500' || one === 'unsent') {
          world.faults.push(one);
        } else if (one === 'pass') {
          world.nowMs += lifeMs;
        } else if (one === 'refuse') {
          keeper.rejected('claude', `access-${world.issued}`);
        } else {
          const count = one === 'ask' ? 1 : 7;
          const got = await Promise.allSettled(Array.from({ length: count }, () => token(keeper)));
          const values = got.flatMap((end) => (end.status === 'fulfilled' ? [end.value] : []));
          expect(new Set(values).size).toBeLessThanOrEqual(1);
        }
        await new Promise((resolve) => setImmediate(resolve));
      }
      world.faults.length = 0;
      world.nowMs += lifeMs;
      expect(world.isAlive).toBe(true);
      expect(await token(daemon(world)).catch((error: Error) => error.message)).toMatch(/^access-|cut off/);
    }),
    { numRuns: 150 },
  );
});
