import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';

import { CasemateError } from '../../base/errors.ts';
import { parseJson } from '../../base/json.ts';
import { visible } from '../../base/text.ts';
import { readReport } from '../../proof/read-report.ts';
import { agrees, overall, reportFault, type Report } from '../../proof/statement.ts';
import type { CommandContext } from '../command.ts';
import { mark, printJson } from '../printing/output.ts';

/** Checks a report offline: 0 if it is what was signed, 1 if not. It does not say who holds the key. */
export async function verifyReport(file: string, context: CommandContext, { json }: { readonly json: boolean }): Promise<number> {
  const report = await readFrom(resolve(context.cwd, file));
  const fault = reportFault(report);
  const { statement, attestation } = report;
  const outcome = overall(statement.verdicts);
  if (json) {
    printJson(context.stdout, {
      valid: fault === undefined,
      fault,
      key: attestation.key,
      outcome,
      agrees: agrees(report),
      statement,
    });
  } else if (fault === undefined) {
    context.stdout.write(`${mark(context.stdout, 'yes')} ${words(report, outcome)}\n`);
  } else {
    context.stdout.write(`${mark(context.stdout, 'no')} not valid: ${visible(fault)}\n`);
  }
  return fault === undefined ? 0 : 1;
}

function words({ statement, attestation, findings, verdicts }: Report, outcome: string): string {
  const { time, target, kernel, runtime } = statement;
  const same = agrees({ statement, attestation, findings, verdicts })
    ? ''
    : '\n  this version of the program comes to other verdicts from what was seen';
  return (
    `signed by ${attestation.key}: ${visible(target.name)}, ${outcome}, ${visible(time)}, ${visible(runtime)} on kernel ${visible(kernel)}` +
    `\n  compare the key with the one that casemate journal verify prints where the proof was made${same}`
  );
}

async function readFrom(path: string): Promise<Report> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new CasemateError('PATH_INVALID', `cannot read ${visible(path)}`, {
      cause,
      hint: 'Give a file that casemate prove --json printed.',
    });
  });
  const read = readReport(parseJson(text));
  if ('fault' in read) {
    throw new CasemateError('PATH_INVALID', `${visible(path)} is no report of a proof: ${visible(read.fault)}`, {
      hint: 'Give a file that casemate prove --json printed.',
    });
  }
  return read.report;
}
