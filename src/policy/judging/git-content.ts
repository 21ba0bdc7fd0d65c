import { gitGrants, mayPush } from './git-request.ts';
import { compileGlob, matchPath } from '../matching/match-path.ts';
import type { GitChange, NetworkRule } from '../policy.ts';

/** What the content of a git request asks for, and whether rules allow it. Every reference of a push is judged by itself. */

export interface RefUpdate {
  /** full name, e.g. `refs/heads/main` */
  readonly ref: string;
  /** told from the ids alone: an update may or may not throw commits away, which no request says */
  readonly change: GitChange;
}

export interface GitPush {
  readonly kind: 'git-push';
  readonly repository: string;
  readonly updates: readonly RefUpdate[];
}

/** https://github.com/git-lfs/git-lfs/blob/main/docs/api/batch.md */
export interface LfsBatch {
  readonly kind: 'lfs-batch';
  readonly repository: string;
  readonly operation: 'download' | 'upload';
  /** the reference it belongs to, where the client says one */
  readonly ref: string | undefined;
}

/** The updates that no rule allows; empty: all of them may pass. */
export function refusedUpdates(rules: readonly NetworkRule[], { repository, updates }: GitPush): readonly RefUpdate[] {
  const grants = rules.flatMap((rule) => gitGrants(rule, repository));
  return updates.filter(
    ({ ref, change }) =>
      !grants.some(({ push, changes }) => changes.includes(change) && push.some((one) => matchesRef(one, ref))),
  );
}

export function isBatchAllowed(rules: readonly NetworkRule[], { repository, operation, ref }: LfsBatch): boolean {
  const grants = rules.flatMap((rule) => gitGrants(rule, repository));
  if (operation === 'download') {
    return grants.length > 0;
  }
  return ref === undefined ? mayPush(grants) : grants.some(({ push }) => push.some((one) => matchesRef(one, ref)));
}

function matchesRef(pattern: string, ref: string): boolean {
  return matchPath(compileGlob(pattern), ref);
}
