import type { Guarding } from '../../src/gateway/guards/guarding.ts';
import { createKnownSecrets } from '../../src/gateway/secrets/known-secrets.ts';
import { memoryLedger } from '../../src/gateway/guards/ledger.ts';
import { noGuards, type Budget, type Guards, type PackageRule } from '../../src/policy/guards.ts';

/** Guards of one sandbox for the gateway lab. */
export function guarding({
  rules,
  ...more
}: Partial<Omit<Guarding, 'rules'>> & { readonly rules?: Partial<Guards> } = {}): Guarding {
  return { rules: { ...noGuards, ...rules }, ledger: memoryLedger(), known: createKnownSecrets(), locked: new Set(), ...more };
}

const origin = { layer: 'user', source: 'test' } as const;

export function budget(limits: Budget['limits'], more: Partial<Budget> = {}): Budget {
  return { credential: undefined, per: 'life', over: 'sandbox', limits, origin, ...more };
}

export function packageRule(more: Partial<PackageRule>): PackageRule {
  return { minAgeMs: undefined, block: [], allow: [], origin, ...more };
}
