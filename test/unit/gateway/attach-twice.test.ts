import { describe, expect, it } from 'vitest';

import { createGateway } from '../../../src/gateway/create-gateway.ts';
import type { GatewaySandbox } from '../../../src/gateway/gateway.ts';
import type { Journal } from '../../../src/journal/record.ts';

const journal: Journal = {
  append: async (entry) => ({ ...entry, seq: 1, time: '', previous: '' }),
  credentialHash: () => '',
  checkpoint: async () => undefined,
  close: async () => undefined,
};
const sandbox: GatewaySandbox = {
  id: 'cm-0000000000000001',
  name: 'work',
  policyHash: '',
  rules: [],
  credentials: new Map(),
  authority: { certificatePem: '', privateKeyPem: '' },
};

describe('the gateway', () => {
  it('serves a sandbox through one ingress, and through another only after that was cut', async () => {
    const gateway = createGateway({ journal, trustStorePem: '' });
    const closed: string[] = [];
    const ingress = (name: string) => ({ serve: () => undefined, close: async () => void closed.push(name) });
    gateway.attach(sandbox, ingress('first'));
    expect(() => gateway.attach(sandbox, ingress('second'))).toThrow(expect.objectContaining({ code: 'GATEWAY_FAILED' }));
    expect(closed).toEqual([]);
    await gateway.detach(sandbox.id);
    gateway.attach(sandbox, ingress('third'));
    await gateway.close();
    expect(closed).toEqual(['first', 'third']);
  });
});
