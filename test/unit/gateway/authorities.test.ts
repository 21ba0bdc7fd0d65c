import { X509Certificate } from 'node:crypto';

import { expect, test, vi } from 'vitest';

import { createAuthorities } from '../../../src/gateway/tls/authorities.ts';

const hourMs = 3_600_000;
const start = Date.parse('2026-05-01T12:00:00Z');

function counting() {
  const clock = { ms: start, nowMs: (): number => clock.ms };
  const made: number[] = [];
  const make = async (nowMs: number) => ({ certificatePem: String(made.push(nowMs)), privateKeyPem: '' });
  const authorities = createAuthorities({ clock, refillMs: 0, make });
  const isReady = (count: number) => vi.waitFor(() => expect(made).toHaveLength(count), { timeout: 5000 });
  return { clock, made, isReady, take: async () => (await authorities.take()).certificatePem };
}

test('the next sandbox gets an authority that was made ahead, and no two get the same', async () => {
  const { take, isReady, made } = counting();
  await take();
  await isReady(2);
  const all = await Promise.all([take(), take(), take()]);
  expect(all[0]).toBe('2');
  expect(new Set(all).size).toBe(3);
  expect(made).toHaveLength(4);
});

test.each([
  ['of long ago', 2 * hourMs],
  ['of a clock that was set back', -2 * hourMs],
])('one %s is not given out', async (_, laterMs) => {
  const { take, isReady, clock, made } = counting();
  await take();
  await isReady(2);
  clock.ms += laterMs;
  expect(await take()).toBe('3');
  expect(made[2]).toBe(start + laterMs);
});

test('one that could not be made ahead is made when it is asked for', async () => {
  let count = 0;
  const make = async () => {
    count += 1;
    return count === 2 ? Promise.reject(new Error('no randomness')) : { certificatePem: String(count), privateKeyPem: '' };
  };
  const { take } = createAuthorities({ clock: { nowMs: () => start }, refillMs: 0, make });
  await take();
  await vi.waitFor(() => expect(count).toBe(2), { timeout: 5000 });
  expect((await take()).certificatePem).toBe('3');
});

test('each is for a sandbox that is not known yet, and says so by a number of its own', async () => {
  const { take } = createAuthorities({ clock: { nowMs: () => start } });
  const certificates = [await take(), await take()].map(({ certificatePem }) => new X509Certificate(certificatePem));
  const names = certificates.map(({ subject }) => /CN=(.*)/.exec(subject)?.[1]);
  expect(names[0]).toMatch(/^casemate sandbox [0-9a-f]{16}$/);
  expect(names[0]).not.toBe(names[1]);
  expect(certificates[0]?.validFromDate.getTime()).toBe(start - hourMs);
});
