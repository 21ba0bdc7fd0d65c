import type { Policy } from '../policy.ts';

/**
 * Policy for a run that only shows what a program needs: which of its requests leave the host, and which rules hold meanwhile.
 * Pure.
 */
export const learnModes = ['closed', 'reads', 'writes'] as const;

/** `closed`: nothing leaves; `reads`: GET and HEAD, bounded; `writes`: everything over HTTP. Never with a credential. */
export type LearnMode = (typeof learnModes)[number];

export interface Learning {
  readonly mode: LearnMode;
  /** `as-allowed`: what the policy allows already is carried out as ever, with its credentials */
  readonly known: 'as-learned' | 'as-allowed';
}

/** The policy of such a run: no credential is bound, nothing of the user's configuration comes along, nobody is asked. */
export function learningPolicy(policy: Policy, { known }: Learning): Policy {
  const asks = { ...policy.asks, waitMs: undefined };
  return known === 'as-allowed'
    ? { ...policy, asks }
    : {
        ...policy,
        asks,
        level: 'maximum',
        credentials: [],
        network: policy.network.map((rule) => ({ ...rule, credential: undefined })),
      };
}

/** Ports that are listened on so that a connection to them is seen; on the first kind HTTP is read. */
export const learnPorts = {
  web: [3000, 5000, 8000, 8080, 8443, 8888, 9000],
  others: [21, 22, 25, 465, 587, 993, 1433, 1521, 3306, 5432, 5672, 6379, 9092, 9418, 11211, 27017],
} as const;
