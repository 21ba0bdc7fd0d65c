import { arch, release } from 'node:os';

import { CasemateError } from '../base/errors.ts';
import { overall, statementText, type Outcome, type Statement } from '../proof/statement.ts';
import { sha256Of } from '../policy/hash.ts';
import { actorOf, type SandboxContext } from '../sandbox/context.ts';
import { hashPlan, parsePlan, type Plan } from '../sandbox/plan/plan.ts';
import type { Sandboxes } from '../sandbox/sandboxes.ts';
import { version } from '../system/version.ts';
import type { ProveSealCall, Sealed } from './protocol.ts';
import type { Calling } from './server.ts';

/**
 * Signs proofs. What a proof is about is read here and not taken from the caller, and the journal has it before it is handed
 * out.
 */
export interface ProofParts {
  readonly context: SandboxContext;
  readonly sandboxes: Sandboxes;
}

export function createProofCalls(parts: ProofParts): Pick<Calling, 'prove-seal'> {
  return {
    async 'prove-seal'({ name, request, outcome }) {
      const target = await targetOf(parts, { name, request });
      const statement = await stateOf(parts.context, target, outcome);
      return await seal(parts.context, statement);
    },
  };
}

interface Proved {
  readonly name: string;
  readonly sandbox: string | undefined;
  readonly plan: Plan;
}

async function targetOf({ sandboxes }: ProofParts, { name, request }: Pick<ProveSealCall, 'name' | 'request'>): Promise<Proved> {
  if (name !== undefined) {
    const row = sandboxes.find(name);
    return { name: row.name, sandbox: row.id, plan: parsePlan(row.plan) };
  }
  if (request === undefined) {
    throw new CasemateError('USAGE', 'a proof is about a sandbox or a policy');
  }
  const { plan } = await sandboxes.prepare(request);
  return { name: 'policy', sandbox: undefined, plan };
}

async function stateOf({ engine, clock }: SandboxContext, { name, sandbox, plan }: Proved, outcome: Outcome): Promise<Statement> {
  const layers = await engine.examine(plan.runtime, { engine: plan.engine });
  const floor = layers.find(({ layer }) => layer === 'runtime-floor');
  return {
    version: 1,
    kind: 'casemate proof',
    time: new Date(clock.nowMs()).toISOString(),
    casemate: version,
    target: { name, sandbox },
    policyHash: plan.policy.hash,
    planHash: hashPlan(plan),
    image: { recipe: plan.image.recipe, digest: plan.image.digest ?? 'not built' },
    engine: plan.engine,
    runtime: plan.runtime,
    runtimeVersion: floor?.detail ?? 'unknown',
    kernel: release(),
    architecture: arch(),
    waived: plan.waive,
    ...outcome,
  };
}

async function seal({ journal, uid }: SandboxContext, statement: Statement): Promise<Sealed> {
  const { verdicts, target, policyHash, planHash, image, kernel, runtime, profile } = statement;
  const named = (verdict: string): string =>
    Object.entries(verdicts)
      .filter(([, one]) => one === verdict)
      .map(([guarantee]) => guarantee)
      .join(' ');
  await journal.append({
    sandbox: target.sandbox,
    actor: actorOf(uid),
    action: 'proof.verdict',
    subject: target.name,
    decision: 'none',
    outcome: overall(verdicts),
    policy: policyHash,
    detail: {
      statement: sha256Of(statement),
      findings: statement.findings,
      plan: planHash,
      image: image.digest,
      runtime,
      kernel,
      profile,
      held: named('held'),
      broken: named('broken'),
      inconclusive: named('inconclusive'),
    },
  });
  return { statement, attestation: journal.attest('proof', statementText(statement)) };
}
