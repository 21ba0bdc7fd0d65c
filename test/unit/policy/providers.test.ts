import { expect, test } from 'vitest';

import { providers } from '../../../src/credentials/providers.ts';
import { policyProviders } from '../../../src/policy/providers.ts';

test('policy and gateway know the same hosts of each provider', () => {
  for (const [name, { hosts }] of Object.entries(policyProviders)) {
    expect(new Map(Object.entries(providers)).get(name)?.hosts).toEqual(hosts);
  }
});
