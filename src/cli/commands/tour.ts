import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import { commandLineLayer } from '../../policy/written/command-line-layer.ts';
import { connectDaemon } from '../session/connect.ts';
import type { CommandContext, RunCommand } from '../command.ts';
import { bold, dim, mark, printJson } from '../printing/output.ts';
import { listOption, optionalPositionals, parseOptions, switchOption, textOption } from '../reading/parse-options.ts';
import { ensureTourImage } from '../tour/image.ts';
import { prepareTour, type TourStage } from '../tour/stage.ts';
import { walk, type TourFindings } from '../tour/walk.ts';

/** `casemate tour`: the whole path once, on a sample project, and what was found on the way. */
export const run: RunCommand = async (args, context, row) => {
  const parsed = parseOptions(row, args);
  optionalPositionals(parsed, []);
  const json = switchOption(parsed, 'json');
  const say = (text: string): void => void (json ? context.stderr : context.stdout).write(`${text}\n`);
  const choices = { waive: listOption(parsed, 'waive'), runtime: textOption(parsed, 'runtime') };
  commandLineLayer(choices, context.cwd);
  await ensureTourImage(context);
  const stage = await prepareTour(context, { standIn: switchOption(parsed, 'stand-in') });
  try {
    introduce(context, stage, say);
    const client = await connectDaemon(context, { answers: stage.answers });
    const findings = await walk(context, { client, stage, say, ...choices });
    client.close();
    if (json) {
      printJson(context.stdout, findings);
    } else {
      report(context, findings);
    }
    return verdict(findings);
  } finally {
    await stage.remove();
  }
};

function introduce({ stdout }: CommandContext, stage: TourStage, say: (text: string) => void): void {
  say(bold(stdout, 'Claude Code mends a failing test, in a sandbox, with its key outside'));
  say(
    stage.modelApi === undefined
      ? `model API: api.anthropic.com, with your ANTHROPIC_API_KEY`
      : `model API: a stand-in on ${stage.modelApi.url}, because there is no ANTHROPIC_API_KEY; the agent is the real one`,
  );
  say(dim(stdout, `sample project: ${visible(stage.workspace)}`));
}

function report({ stdout }: CommandContext, findings: TourFindings): void {
  const line = (good: boolean, text: string): void => void stdout.write(`${mark(stdout, good ? 'yes' : 'no')} ${text}\n`);
  stdout.write('\n');
  line(
    findings.testsBefore !== 0 && findings.testsAfter === 0,
    `tests inside: ${findings.testsBefore === 0 ? 'green' : 'red'} before, ${findings.testsAfter === 0 ? 'green' : 'red'} after`,
  );
  line(findings.changed.length > 0, `files changed: ${findings.changed.map(visible).join(', ') || 'none'}`);
  line(findings.reached.length > 0, `reached: ${findings.reached.map(visible).join(', ') || 'nothing'}`);
  line(findings.refused.length > 0, `refused: ${findings.refused.map(visible).join(', ') || 'nothing was tried'}`);
  line(findings.keyOnTheWire, `the key was put on the wire outside, ${findings.keyUses} times`);
  const { processes, mebibytes, phantomSeen, keySeen } = findings.search;
  line(
    phantomSeen > 0 && keySeen.length === 0,
    `the key was not inside: ${mebibytes} MiB searched (memory and environment of ${processes} processes, home, workspace): the phantom was found in ${phantomSeen} places, the key in ${keySeen.length}`,
  );
  line(
    findings.journal.valid,
    `journal: ${findings.journal.records} records, ${findings.journal.valid ? 'verified' : `broken: ${visible(findings.journal.fault ?? '')}`}`,
  );
  stdout.write(`\nNext: cd into a project of yours and run  casemate run --agent claude\n`);
}

function verdict(findings: TourFindings): number {
  if (findings.testsAfter !== 0) {
    throw new CasemateError('ENGINE_FAILED', "the tour did not end as it should: the sample's tests are not green", {
      hint: 'What the agent said stands above; casemate journal tail shows what it reached.',
    });
  }
  const good =
    findings.keyOnTheWire && findings.search.phantomSeen > 0 && findings.search.keySeen.length === 0 && findings.journal.valid;
  return good && findings.refused.length > 0 ? 0 : 1;
}
