import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import type { Client } from '../../daemon/client.ts';
import { isGuaranteeId } from '../../proof/guarantees.ts';
import type { Lab } from '../../proof/lab/lab.ts';
import { profiles, type Profile } from '../../proof/probe.ts';
import { chooseProbes, probes } from '../../proof/probes.ts';
import { prove } from '../../proof/prove.ts';
import type { CommandContext, RunCommand } from '../command.ts';
import { commands } from '../commands.ts';
import { printJson } from '../printing/output.ts';
import { proofProgress, proofText } from '../printing/proof-text.ts';
import { makeRequest } from '../reading/make-request.ts';
import { optionalPositionals, parseOptions, switchOption, textOption, type ParsedOptions } from '../reading/parse-options.ts';
import { connectDaemon } from '../session/connect.ts';
import { openLab } from '../session/open-lab.ts';
import { namedTarget, throwAwayTarget, type ProveTarget } from '../session/prove-target.ts';

/** `casemate prove`: attacks a sandbox and says which guarantees held. */
export const run: RunCommand = async (args, context) => {
  const parsed = parseOptions(commands['prove'] ?? { options: [] }, args);
  const [name] = optionalPositionals(parsed, ['NAME']);
  const chosen = chooseProbes({ profile: profileOf(parsed), only: onlyOf(parsed) });
  const client = await connectDaemon(context, { trust: switchOption(parsed, 'trust') });
  const target = await targetOf(client, name, { parsed, context });
  const progress = proofProgress(context, { quiet: switchOption(parsed, 'json') });
  let lab: Promise<Lab> | undefined;
  try {
    const proof = await prove({
      target,
      uid: context.uid,
      probes: chosen,
      lab: () => (lab ??= openLab(context, target.plan)),
      onStart: progress.start,
      onFinding: progress.finding,
    });
    progress.end();
    if (switchOption(parsed, 'json')) {
      printJson(context.stdout, proof);
    } else {
      context.stdout.write(proofText(context.stdout, proof, { rows: switchOption(parsed, 'rows') }));
    }
    return exitCode(proof.verdicts.map(({ verdict }) => verdict));
  } finally {
    progress.end();
    await Promise.allSettled([lab?.then((made) => made.remove()), target.remove()]);
    client.close();
  }
};

interface Asked {
  readonly parsed: ParsedOptions;
  readonly context: CommandContext;
}

async function targetOf(client: Client, name: string | undefined, { parsed, context }: Asked): Promise<ProveTarget> {
  return name === undefined ? await throwAwayTarget(client, makeRequest(parsed, context)) : await namedTarget(client, name);
}

function profileOf(parsed: ParsedOptions): Profile {
  const text = textOption(parsed, 'profile') ?? 'full';
  const found = profiles.find((profile) => profile === text);
  if (found === undefined) {
    throw new CasemateError('USAGE', `there is no profile "${visible(text)}"`, { hint: `Profiles: ${profiles.join(', ')}.` });
  }
  return found;
}

/** Ids of guarantees in any case, and of probes. */
function onlyOf(parsed: ParsedOptions): readonly string[] | undefined {
  const names = textOption(parsed, 'only')
    ?.split(',')
    .map((name) => name.trim());
  return names?.map((name) => {
    if (Object.hasOwn(probes, name)) {
      return name;
    }
    if (!isGuaranteeId(name.toUpperCase())) {
      throw new CasemateError('USAGE', `there is neither a guarantee nor a probe "${visible(name)}"`, {
        hint: 'Guarantees are G1 to G25: docs/threat-model.md. `casemate prove --rows` names the probes.',
      });
    }
    return name.toUpperCase();
  });
}

/** 1 where a guarantee is broken, 125 where one could not be decided. */
function exitCode(verdicts: readonly string[]): number {
  return verdicts.includes('broken') ? 1 : verdicts.includes('inconclusive') ? 125 : 0;
}
