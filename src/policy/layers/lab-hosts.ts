import type { NetworkRule } from '../policy.ts';

/**
 * The hosts of a lab. All of them lie below a name that is reserved for tests (RFC 2606) and that no one can register, so that a
 * proof can run under any organisation's policy: the lab's daemon lets a user's policy name these hosts and no others.
 */
export const labDomain = 'proof.test';

/** Requests to AWS are signed for the region and the service in the name of their host; a region of this name there is not. */
export const labAwsHost = 's3.xx-proof-1.amazonaws.com';

export function isLabRule({ host: { host, kind } }: NetworkRule): boolean {
  return (kind === 'exact' && host === labAwsHost) || host === labDomain || host.endsWith(`.${labDomain}`);
}
