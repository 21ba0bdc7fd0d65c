/** A missing engine is a skip that says why, and a failure where it is required. */
import { expect, test } from 'vitest';

import { environmentOf } from '../../../src/system/environment.ts';
import { engineOrSkip } from '../../helpers/require-engine.ts';

test('an engine that is here runs, whatever is required', () => {
  expect(engineOrSkip('oci', undefined, { env: environmentOf({ REQUIRE_ENGINES: 'oci' }) })).toBe(true);
});

test('a missing engine is skipped with its reason', () => {
  const said: string[] = [];
  expect(engineOrSkip('oci', 'runc is not installed', { env: environmentOf({}), say: (line) => said.push(line) })).toBe(false);
  expect(said).toEqual(['SKIP oci: runc is not installed\n']);
});

test('a missing engine that is required fails', () => {
  const env = environmentOf({ REQUIRE_ENGINES: 'docker, oci' });
  expect(() => engineOrSkip('oci', 'runc is not installed', { env })).toThrow(/required here.*runc is not installed/);
  expect(engineOrSkip('kubernetes', 'none', { env, say: () => undefined })).toBe(false);
});
