import { access, constants, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';

import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import type { Client } from '../../daemon/client.ts';
import { isGuaranteeId } from '../../proof/guarantees.ts';
import type { Lab } from '../../proof/lab/lab.ts';
import { sweepLeftovers } from '../../proof/lab/leftovers.ts';
import { profiles, type Profile } from '../../proof/probe.ts';
import { chooseProbes, probes } from '../../proof/probes.ts';
import { prove, type Proof } from '../../proof/prove.ts';
import { outcomeOf, overall, type Report } from '../../proof/statement.ts';
import { startWatch } from '../../proof/watch/start-watch.ts';
import type { Watch } from '../../proof/watch/watch.ts';
import type { CommandContext, RunCommand } from '../command.ts';
import { printJson } from '../printing/output.ts';
import { proofProgress, proofText } from '../printing/proof-text.ts';
import { makeRequest } from '../reading/make-request.ts';
import {
  optionalPositionals,
  parseOptions,
  pathOption,
  switchOption,
  textOption,
  type ParsedOptions,
} from '../reading/parse-options.ts';
import { verifyReport } from '../reading/verify-report.ts';
import { connectDaemon } from '../session/connect.ts';
import { proveCommand } from '../session/prove-command.ts';
import { proveSurface } from '../session/prove-surface.ts';
import { openLab } from '../session/open-lab.ts';
import { namedTarget, throwAwayTarget, type ProveTarget } from '../session/prove-target.ts';

/** `casemate prove`: attacks a sandbox, says which guarantees held, and has the result signed. */
export const run: RunCommand = async (args, context, row) => {
  const parsed = parseOptions(row, args);
  const [name] = optionalPositionals(parsed, ['NAME']);
  const file = textOption(parsed, 'verify');
  if (file !== undefined) {
    return await verifyReport(file, context, { json: switchOption(parsed, 'json') });
  }
  const choice = { profile: profileOf(parsed), only: onlyOf(parsed) };
  const command = textOption(parsed, 'command');
  if (command !== undefined) {
    return await proveCommand({ command, parsed, context, choice });
  }
  if (switchOption(parsed, 'surface')) {
    return await proveSurface(name, parsed, context);
  }
  const html = pathOption(parsed, 'html', context.cwd);
  if (html !== undefined) {
    await requireWritable(html);
  }
  const client = await connectDaemon(context, { trust: switchOption(parsed, 'trust') });
  try {
    const asked = { parsed, context, client, name };
    const proof = await attackAll(asked, choice);
    const request = name === undefined ? makeRequest(parsed, context) : undefined;
    const sealed = await client.call('prove-seal', { name, request, outcome: outcomeOf(proof, choice) });
    return await tell({ ...sealed, ...proof }, asked);
  } finally {
    client.close();
  }
};

interface Asked {
  readonly parsed: ParsedOptions;
  readonly context: CommandContext;
  readonly client: Client;
  readonly name: string | undefined;
}

interface Choice {
  readonly profile: Profile;
  readonly only: readonly string[] | undefined;
}

/** Whatever happens, the throw-away sandbox, the lab and what lay around are gone when this has ended. */
async function attackAll(asked: Asked, choice: Choice): Promise<Proof> {
  const { parsed, context } = asked;
  const progress = proofProgress(context, { quiet: switchOption(parsed, 'json') });
  const chosen = chooseProbes(choice);
  await sweepLeftovers(context.uid);
  const watch = Object.values(chosen).some(({ where }) => where === 'watched') ? await startWatch({ keys: false }) : undefined;
  let target: ProveTarget | undefined;
  let lab: Promise<Lab> | undefined;
  try {
    target = await targetOf(asked, watch);
    const { plan } = target;
    return await prove({
      target,
      uid: context.uid,
      probes: chosen,
      watch,
      only: choice.only,
      lab: () => (lab ??= openLab(context, plan)),
      onStart: progress.start,
      onFinding: progress.finding,
    });
  } finally {
    progress.start('cleaning up');
    await Promise.allSettled([lab?.then((made) => made.remove()), target?.remove()]);
    await watch?.close();
    progress.end();
  }
}

async function targetOf({ client, name, parsed, context }: Asked, watch: Watch | undefined): Promise<ProveTarget> {
  return name === undefined
    ? await throwAwayTarget(client, makeRequest(parsed, context), watch?.folders.work)
    : await namedTarget(client, name);
}

async function tell(report: Report, { parsed, context }: Asked): Promise<number> {
  const html = pathOption(parsed, 'html', context.cwd);
  if (html !== undefined) {
    await writeHtml(html, report);
  }
  if (switchOption(parsed, 'json')) {
    printJson(context.stdout, report);
  } else {
    context.stdout.write(proofText(context.stdout, report, { rows: switchOption(parsed, 'rows') }));
  }
  return { held: 0, broken: 1, inconclusive: 125 }[overall(report.statement.verdicts)];
}

/** Asked before the attacks, which take minutes: where a report cannot be written, none is made. */
async function requireWritable(path: string): Promise<void> {
  const known = await stat(path).catch(() => undefined);
  const place = known?.isFile() === true ? path : dirname(path);
  const isFit = known === undefined || known.isFile();
  if (!isFit || (await access(place, constants.W_OK).catch(() => false)) === false) {
    throw new CasemateError('PATH_INVALID', `cannot write the report to ${visible(path)}`, {
      hint: 'Give --html a file in a folder that exists and that you may write.',
    });
  }
}

async function writeHtml(path: string, report: Report): Promise<void> {
  const { proofHtml } = await import('../../proof/html.ts');
  await writeFile(path, proofHtml(report)).catch((cause: unknown) => {
    throw new CasemateError('OUTPUT_UNWRITABLE', `cannot write the report to ${visible(path)}`, { cause });
  });
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
