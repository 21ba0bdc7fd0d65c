import type { NetworkRule } from '../policy.ts';

/**
 * A lab's own hosts. All of them lie below a name that is reserved for tests (RFC 2606) and that nobody can register, so that
 * a proof can be made under whatever policy an organisation has: its daemon lets a user's policy name them, and nothing else.
 */
export const labDomain = 'proof.test';

export function isLabRule({ host: { host } }: NetworkRule): boolean {
  return host === labDomain || host.endsWith(`.${labDomain}`);
}
