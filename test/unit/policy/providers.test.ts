import { expect, test } from 'vitest';

import { isProviderName } from '../../../src/credentials/providers.ts';
import { policyProviders } from '../../../src/policy/providers.ts';

test('every provider that a policy may name is one the gateway can inject for', () => {
  expect(Object.keys(policyProviders).filter((name) => !isProviderName(name))).toEqual([]);
});
