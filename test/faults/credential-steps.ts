/** Credentials and logins, as steps: set, rotated, revoked, restored, removed; a login taken over, renewed and ended. */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { createSealedStore } from '../../src/credentials/sealed/sealed-store.ts';
import { environmentOf } from '../../src/system/environment.ts';
import { box, claimFaults, fetched, must, succeeded, type Done, type Step } from './step.ts';
import type { Outcome, World } from './world.ts';

const old = 'old-value-of-the-credential-0123456789';
const fresh = 'new-value-of-the-credential-0123456789';

const set = (world: World, value: string): Promise<Outcome> => world.run(['credentials', 'set', 'sealed'], { input: value });

/** What is under this name at rest, opened with the key; `undefined`: nothing. Throws where it cannot be opened. */
async function atRest(world: World, kind: 'credential' | 'login', name: string): Promise<string | undefined> {
  const { paths, uid } = world;
  const store = createSealedStore({
    path: join(paths.state, 'credentials.sealed'),
    config: paths.config,
    uid,
    env: environmentOf({}),
  });
  const value = await store.get(kind, name);
  return value === undefined ? undefined : JSON.stringify(value);
}

async function restFaults(world: World, done: Done, { may, must: needed }: Rest): Promise<readonly string[]> {
  const found = await atRest(world, 'credential', 'sealed').catch((error: unknown) => `unreadable: ${String(error)}`);
  const is = (value: string | undefined): boolean =>
    value === undefined ? found === undefined : found?.includes(value) === true;
  const wanted = succeeded(done.outcomes[0]) ? [needed] : may;
  return wanted.some(is) ? [] : [`the value at rest is ${found ?? 'none'}`];
}

interface Rest {
  /** where nothing was reported */
  readonly may: readonly (string | undefined)[];
  /** where it was */
  readonly must: string | undefined;
}

async function forget(world: World): Promise<void> {
  await world.run(['credentials', 'rm', 'sealed', '--confirm', 'sealed']);
}

/** With a value at rest, and a sandbox that uses it. */
async function inUse(world: World): Promise<void> {
  await set(world, old);
  await must(world, ['create', box]);
  await must(world, ['start', box]);
}

/** What a sandbox may do with the credential after all. */
async function useFaults(
  world: World,
  done: Done,
  { isAllowed, value }: { isAllowed: boolean; value: string },
): Promise<readonly string[]> {
  if (!succeeded(done.outcomes[0])) {
    return [];
  }
  const use = (await fetched(world, 'sealed.example.com', `${done.nonce}-use`))?.authorization;
  const isUsed = use?.includes(value) === true;
  return isUsed === isAllowed
    ? []
    : [`after all the credential ${isUsed ? 'is used' : 'cannot be used'} (${use ?? 'nothing arrived'})`];
}

const credentialSteps: readonly Step[] = [
  {
    name: 'credential-set',
    role: 'daemon',
    prepare: forget,
    act: async (world) => [await set(world, fresh)],
    check: async (world, done) => [
      ...claimFaults(done.lines, [{ action: 'credential.set', subject: 'sealed', isReported: succeeded(done.outcomes[0]) }]),
      ...(await restFaults(world, done, { may: [undefined, fresh], must: fresh })),
    ],
  },
  {
    name: 'credential-first-set',
    role: 'daemon',
    forgets: true,
    async prepare(world) {
      await must(world, ['daemon', 'stop', '--force']);
      await world.forgetState();
      await must(world, ['ls']);
    },
    act: async (world) => [await set(world, fresh)],
    check: async (world, done) => await restFaults(world, done, { may: [undefined, fresh], must: fresh }),
  },
  {
    name: 'credential-rotate',
    role: 'daemon',
    prepare: inUse,
    act: async (world) => [await set(world, fresh)],
    check: async (world, done) => [
      ...claimFaults(done.lines, [{ action: 'credential.rotate', subject: 'sealed', isReported: succeeded(done.outcomes[0]) }]),
      ...(await restFaults(world, done, { may: [old, fresh], must: fresh })),
      ...(await useFaults(world, done, { isAllowed: true, value: fresh })),
    ],
  },
  {
    name: 'credential-revoke',
    role: 'daemon',
    prepare: inUse,
    act: async (world) => [await world.run(['credentials', 'revoke', 'sealed'])],
    check: async (world, done) => [
      ...claimFaults(done.lines, [{ action: 'credential.revoke', subject: 'sealed', isReported: succeeded(done.outcomes[0]) }]),
      ...(await useFaults(world, done, { isAllowed: false, value: old })),
    ],
  },
  {
    name: 'credential-restore',
    role: 'daemon',
    async prepare(world) {
      await inUse(world);
      await must(world, ['credentials', 'revoke', 'sealed']);
    },
    act: async (world) => [await world.run(['credentials', 'restore', 'sealed'])],
    check: async (world, done) => [
      ...claimFaults(done.lines, [{ action: 'credential.restore', subject: 'sealed', isReported: succeeded(done.outcomes[0]) }]),
      ...(await useFaults(world, done, { isAllowed: true, value: old })),
    ],
  },
  {
    name: 'credential-rm',
    role: 'daemon',
    prepare: inUse,
    act: async (world) => [await world.run(['credentials', 'rm', 'sealed', '--confirm', 'sealed'])],
    check: async (world, done) => [
      ...claimFaults(done.lines, [{ action: 'credential.remove', subject: 'sealed', isReported: succeeded(done.outcomes[0]) }]),
      ...(await restFaults(world, done, { may: [old, undefined], must: undefined })),
      ...(await useFaults(world, done, { isAllowed: false, value: old })),
    ],
  },
];

/** The login that an agent's own client has on this host. */
async function placeLogin(world: World): Promise<void> {
  const { accessToken, refreshToken, expiresMs } = world.server.grant();
  const folder = join(world.root, 'user/.claude');
  await mkdir(folder, { recursive: true });
  const login = { accessToken, refreshToken, expiresAt: expiresMs, scopes: ['user:inference'], subscriptionType: 'max' };
  await writeFile(join(folder, '.credentials.json'), JSON.stringify({ claudeAiOauth: login }), { mode: 0o600 });
  await world.handOver();
}

const takeOver = (world: World): Promise<Outcome> =>
  world.run(['login', 'claude', '--import', '--yes', '--server', world.server.url]);

async function loggedIn(world: World): Promise<void> {
  await placeLogin(world);
  const { code, err } = await takeOver(world);
  if (code !== 0) {
    throw new Error(err);
  }
  await rm(join(world.root, 'user/.claude'), { recursive: true });
  await must(world, ['create', box]);
  await must(world, ['start', box]);
}

/** A login that was there is there, is renewed, and opens what it opened. */
async function loginFaults(world: World, nonce: string): Promise<readonly string[]> {
  const arrived = await fetched(world, 'login.example.com', nonce);
  if (arrived?.isLoggedIn === true) {
    return [];
  }
  const { out } = await world.run(['login', '--status', '--json']);
  return [`the login is lost: ${arrived === undefined ? 'nothing arrived' : 'its token is not accepted'}; ${out}`];
}

const loginSteps: readonly Step[] = [
  {
    name: 'login-import',
    role: 'daemon',
    async prepare(world) {
      await world.run(['logout', 'claude']);
      await placeLogin(world);
    },
    act: async (world) => [await takeOver(world)],
    async check(world, done) {
      const found = await atRest(world, 'login', 'claude');
      const isReported = succeeded(done.outcomes[0]);
      return [
        ...claimFaults(done.lines, [{ action: 'login.add', subject: 'claude', isReported }]),
        ...(isReported && found === undefined ? ['a login was reported and is not at rest'] : []),
      ];
    },
  },
  {
    name: 'login-renewal',
    role: 'daemon',
    async prepare(world) {
      await loggedIn(world);
      // Past the end of the access token.
      await sleep(world.server.lifeMs + 100);
    },
    act: async (world, nonce) => [
      await world.run(['exec', box, '--', 'curl', '-sS', '-m', '20', `https://login.example.com/n/${nonce}`]),
    ],
    check: async (world, { nonce }) => await loginFaults(world, `${nonce}-again`),
  },
  {
    name: 'logout',
    role: 'daemon',
    prepare: loggedIn,
    act: async (world) => [await world.run(['logout', 'claude'])],
    async check(world, done) {
      const found = await atRest(world, 'login', 'claude');
      const isReported = succeeded(done.outcomes[0]);
      return isReported && found !== undefined ? ['an end of the login was reported, and it is at rest'] : [];
    },
  },
];

export const credentialAndLoginSteps: readonly Step[] = [...credentialSteps, ...loginSteps];
