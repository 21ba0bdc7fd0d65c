import type { NetworkRule } from '../policy.ts';

/**
 * A lab's own hosts. All of them lie below a name that is reserved for tests (RFC 2606) and that nobody can register, so that
 * a proof can be made under whatever policy an organisation has: its daemon lets a user's policy name them, and nothing else.
 */
export const labDomain = 'proof.test';

/** Requests to AWS are signed for the region and the service in the name of their host; a region of this name there is not. */
export const labAwsHost = 's3.xx-proof-1.amazonaws.com';

export function isLabRule({ host: { host, kind } }: NetworkRule): boolean {
  return (kind === 'exact' && host === labAwsHost) || host === labDomain || host.endsWith(`.${labDomain}`);
}
