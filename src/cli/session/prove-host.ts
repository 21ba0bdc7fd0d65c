import { isCasemateError } from '../../base/errors.ts';
import type { Verdict } from '../../proof/finding.ts';
import { guarantees } from '../../proof/guarantees.ts';
import type { GuaranteeVerdict } from '../../proof/prove.ts';
import type { HostCheck } from '../../sandbox/host/examine-host.ts';
import type { CommandContext } from '../command.ts';
import { connectDaemon } from './connect.ts';
import { throwAwayTarget } from './prove-target.ts';

/**
 * What `doctor` says of this host beyond its layers: the quick profile of a proof against a throw-away sandbox of the image
 * `base`. If a layer is missing nothing can be started, and it says so.
 */
export async function proveHost(
  context: CommandContext,
  { runtime, checks }: { readonly runtime: string; readonly checks: readonly HostCheck[] },
): Promise<readonly HostCheck[]> {
  const missing = checks.find(({ verdict }) => verdict === 'missing');
  if (missing !== undefined) {
    return [notRun(`${missing.check} is missing`)];
  }
  try {
    return await proveSandbox(context, runtime);
  } catch (error) {
    if (isCasemateError(error) && error.code === 'IMAGE_NOT_FOUND') {
      return [notRun('the image base is not built')];
    }
    throw error;
  }
}

function notRun(why: string): HostCheck {
  return { check: 'proof', verdict: 'absent', detail: `not run: ${why}` };
}

async function proveSandbox(context: CommandContext, runtime: string): Promise<readonly HostCheck[]> {
  const [{ chooseProbes }, { prove }] = await Promise.all([import('../../proof/probes.ts'), import('../../proof/prove.ts')]);
  const client = await connectDaemon(context);
  const target = await throwAwayTarget(client, { image: 'base', runtime });
  try {
    const { verdicts, findings } = await prove({ target, uid: context.uid, probes: chooseProbes({ profile: 'quick' }) });
    return verdicts.map((row) =>
      checkOf(row, findings.find(({ probe, verdict }) => row.probes.includes(probe) && verdict === row.verdict)?.why),
    );
  } finally {
    await target.remove();
    client.close();
  }
}

const verdicts: Readonly<Record<Verdict, HostCheck['verdict']>> = {
  held: 'ok',
  broken: 'missing',
  'not-applicable': 'absent',
  inconclusive: 'missing',
};

function checkOf({ guarantee, verdict, probes }: GuaranteeVerdict, why: string | undefined): HostCheck {
  const seen =
    verdict === 'held' ? `held in ${probes.length} ${probes.length === 1 ? 'probe' : 'probes'}` : `${verdict}: ${why ?? ''}`;
  return { check: `proof ${guarantee}`, verdict: verdicts[verdict], detail: `${seen}. ${guarantees[guarantee].text}` };
}
