import { CasemateError } from '../../base/errors.ts';
import type { Client } from '../../daemon/client.ts';
import type { OpenAnswer } from '../../daemon/protocol.ts';
import type { CommandContext } from '../command.ts';
import { namedTarget } from './prove-target.ts';

/**
 * `run --prove`: runs the quick profile against the new sandbox before its command starts. A broken guarantee, or one that could
 * not be decided, ends it. Throws `PROOF_FAILED`.
 */
export async function proveFirst(
  { uid, stderr }: CommandContext,
  client: Client,
  { sandbox, executionId }: OpenAnswer,
): Promise<void> {
  // Loaded only here: other runs do without.
  const [{ chooseProbes }, { prove }, { outcomeOf }] = await Promise.all([
    import('../../proof/probes.ts'),
    import('../../proof/prove.ts'),
    import('../../proof/statement.ts'),
  ]);
  const started = performance.now();
  const target = await namedTarget(client, sandbox.name);
  const proof = await prove({ target, uid, probes: chooseProbes({ profile: 'quick' }) });
  await client.call('prove-seal', { name: sandbox.name, outcome: outcomeOf(proof, { profile: 'quick' }) });
  const failed = proof.findings.filter(({ verdict }) => verdict === 'broken' || verdict === 'inconclusive');
  const [first] = failed;
  if (first !== undefined) {
    await client.call('close', { executionId, exitCode: 125 });
    const more = failed.length === 1 ? '' : `, and ${failed.length - 1} more`;
    throw new CasemateError(
      'PROOF_FAILED',
      `the sandbox did not pass its probes: ${first.probe}: ${first.why ?? first.verdict}${more}`,
      {
        hint: 'Nothing was started. See all of it with: casemate prove --profile quick --rows',
      },
    );
  }
  const held = proof.verdicts.filter(({ verdict }) => verdict === 'held').length;
  stderr.write(
    `casemate: proved in ${Math.round(performance.now() - started)} ms: ${held} guarantees held (${proof.findings.length} probes)\n`,
  );
}
