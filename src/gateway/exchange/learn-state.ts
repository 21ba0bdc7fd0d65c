import type { NetworkRule } from '../../policy/policy.ts';
import type { Learning } from '../../policy/proposing/learning.ts';

/** What a sandbox in learning mode may send, and has sent. */
export interface LearnState {
  readonly setting: Learning;
  /** rules of the organisation, beyond which nothing goes out */
  readonly bound: readonly NetworkRule[] | undefined;
  /** of all that went out */
  spentBytes: number;
}
