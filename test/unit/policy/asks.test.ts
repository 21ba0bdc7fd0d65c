import { expect, test } from 'vitest';

import { resolveTexts, thrownBy } from './samples.ts';

test('a denied request may wait a minute while somebody looks, at the levels where a person works', () => {
  expect(resolveTexts({ user: '' }).asks).toEqual({ waitMs: 60_000, when: 'watched' });
  expect(resolveTexts({ user: 'level: team' }).asks).toEqual({ waitMs: 60_000, when: 'watched' });
});

test.each(['service', 'maximum'])('nobody is asked at the level %s', (level) => {
  expect(resolveTexts({ user: `level: ${level}` }).asks.waitMs).toBeUndefined();
});

test('a user may have it wait longer, always, or never', () => {
  expect(resolveTexts({ user: 'asks: {wait: 10m, when: always}' }).asks).toEqual({ waitMs: 600_000, when: 'always' });
  expect(resolveTexts({ user: 'asks: {wait: off}' }).asks.waitMs).toBeUndefined();
});

test.each([
  ['asks: {wait: 2m}', 'asks.wait 2 min 0 s is more than the 1 min 0 s that the default allows'],
  ['asks: {when: always}', 'asks.when always is more than the watched that the default allows'],
  ['level: maximum\nasks: {wait: 5s}', 'asks.wait 5 s is more than the off that the default allows'],
])('a project cannot say %j', (project, what) => {
  expect(thrownBy(() => resolveTexts({ project }))).toContain(what);
});

test('a project may shorten the wait and end it', () => {
  expect(resolveTexts({ project: 'asks: {wait: 5s}' }).asks.waitMs).toBe(5000);
  expect(resolveTexts({ user: 'asks: {wait: 10m}', project: 'asks: {wait: off}' }).asks.waitMs).toBeUndefined();
});

test('what the organisation ends nobody below takes up again', () => {
  const organisation = 'asks: {wait: off}';
  expect(thrownBy(() => resolveTexts({ organisation, user: 'asks: {wait: 1s}' }))).toMatch(
    /^POLICY_WIDENS .*asks.wait 1 s is more than the off/,
  );
  expect(resolveTexts({ organisation }).asks.waitMs).toBeUndefined();
});

test.each(['1', '0s', '2h', 'on', '-5s'])('%j is no time to wait', (wait) => {
  expect(thrownBy(() => resolveTexts({ user: `asks: {wait: "${wait}"}` }))).toContain(
    'is neither `off` nor a time from 1s to 1h',
  );
});

test('the rules of the organisation are kept as the bound of what may be approved, and no other layer is one', () => {
  const network = 'network: [{host: a.example.com}]';
  expect(resolveTexts({ organisation: network }).bound?.map(({ host }) => host.host)).toEqual(['a.example.com']);
  expect(resolveTexts({ user: network }).bound).toBeUndefined();
});
