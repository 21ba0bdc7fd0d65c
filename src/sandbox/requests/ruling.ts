import { sha256Of } from '../../policy/hash.ts';
import type { NetworkRule } from '../../policy/policy.ts';
import type { Plan } from '../plan/plan.ts';
import type { StoredAnswer } from '../stored/store.ts';

/** The rules of a running sandbox: those of its plan and those that a person has allowed since, under a hash of both. */
export function rulingOf(
  plan: Plan,
  answers: readonly StoredAnswer[],
): { readonly rules: readonly NetworkRule[]; readonly policyHash: string } {
  const added = answers.flatMap((answer) => (answer.kind === 'allow' ? answer.rules : []));
  const { hash } = plan.policy;
  return added.length === 0
    ? { rules: plan.network.rules, policyHash: hash }
    : { rules: [...plan.network.rules, ...added], policyHash: sha256Of({ policy: hash, added }) };
}

/** Requests that a person has denied for the sandbox's life. */
export function refusedKeys(answers: readonly StoredAnswer[]): readonly string[] {
  return answers.flatMap((answer) => (answer.kind === 'deny' ? [answer.key] : []));
}
