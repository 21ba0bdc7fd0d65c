import { inspect } from 'node:util';

import { expect, test } from 'vitest';

import { secret } from '../../../src/credentials/secret.ts';

/** No usual way of turning a value into text shows a secret. */

const value = 'sk-ant-api03-the-real-one';

test.each([
  ['a template', (given: unknown) => `<${given as string}>`],
  ['String()', String],
  ['concatenation', (given: unknown) => 'key '.concat(given as string)],
  ['JSON', (given: unknown) => JSON.stringify({ given })],
  ['inspect', (given: unknown) => inspect({ given }, { depth: 9, showHidden: true, getters: true })],
  ['an error message', (given: unknown) => new Error(`failed with ${given as string}`).stack ?? ''],
  [
    'its properties',
    (given: unknown) =>
      Object.values(given as object)
        .map(String)
        .join(),
  ],
  ['a spread copy', (given: unknown) => JSON.stringify({ ...(given as object) })],
])('%s does not show a secret', (_, render) => {
  expect(render(secret(value))).not.toContain('the-real-one');
});

test('reveal gives the value', () => {
  expect(secret(value).reveal()).toBe(value);
});

test('a secret cannot be changed', () => {
  expect(() => Object.assign(secret(value), { reveal: () => 'other' })).toThrow(TypeError);
});
