import { CasemateError } from '../../base/errors.ts';
import { parseDurationMs } from '../../base/units.ts';
import { visible } from '../../base/text.ts';
import { engineVariables } from '../../engines/engine-choice.ts';
import { commandTemplate } from '../../proof/foreign/command-template.ts';
import { proveForeign } from '../../proof/foreign/prove-foreign.ts';
import { splitCommand } from '../../proof/foreign/split-command.ts';
import { sweepLeftovers } from '../../proof/lab/leftovers.ts';
import type { Profile } from '../../proof/probe.ts';
import { chooseProbes } from '../../proof/probes.ts';
import { outcomeOf, overall } from '../../proof/statement.ts';
import { startWatch } from '../../proof/watch/start-watch.ts';
import { baseEnvironment, type Environment } from '../../system/environment.ts';
import type { CommandContext } from '../command.ts';
import { printJson } from '../printing/output.ts';
import { proofProgress, proofText } from '../printing/proof-text.ts';
import { switchOption, textOption, type ParsedOptions } from '../reading/parse-options.ts';

/** `casemate prove --command`: runs the probes in someone else's sandbox. No daemon, no policy and no journal take part. */
export interface CommandProof {
  /** as written */
  readonly command: string;
  readonly parsed: ParsedOptions;
  readonly context: CommandContext;
  readonly choice: { readonly profile: Profile; readonly only: readonly string[] | undefined };
}

export async function proveCommand({ command, parsed, context, choice }: CommandProof): Promise<number> {
  refuseBeside(parsed);
  const template = commandTemplate(splitCommand(command));
  const timeoutMs = timeLimit(parsed);
  const json = switchOption(parsed, 'json');
  const progress = proofProgress(context, { quiet: json });
  await sweepLeftovers(context.uid);
  const watch = await startWatch();
  const stop = new AbortController();
  const interrupt = (): void => stop.abort(new CasemateError('TIMED_OUT', 'the proof was broken off'));
  process.once('SIGINT', interrupt).once('SIGTERM', interrupt);
  try {
    const proof = await proveForeign({
      template,
      watch,
      env: commandEnvironment(context.env),
      timeoutMs,
      uid: context.uid,
      probes: chooseProbes({ ...choice, foreign: true }),
      only: choice.only,
      onStart: progress.start,
      onFinding: progress.finding,
      signal: stop.signal,
    });
    progress.end();
    if (json) {
      printJson(context.stdout, { command: template.words, ...proof });
    } else {
      context.stdout.write(proofText(context.stdout, proof, { rows: switchOption(parsed, 'rows') }));
    }
    return { held: 0, broken: 1, inconclusive: 125 }[overall(outcomeOf(proof, choice).verdicts)];
  } finally {
    progress.end();
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
    await watch.close();
  }
}

/** What says which sandbox of ours is meant makes no sense beside a sandbox that is not. */
function refuseBeside(parsed: ParsedOptions): void {
  const ours = ['policy', 'engine', 'runtime', 'waive', 'trust', 'html', 'verify'].filter(
    (name) => parsed.values[name] !== undefined,
  );
  const first = parsed.positionals.length > 0 ? 'NAME' : ours[0] === undefined ? undefined : `--${ours[0]}`;
  if (first !== undefined) {
    throw new CasemateError('USAGE', `--command attacks a sandbox of another tool, and ${first} is about one of casemate`, {
      hint: 'Give one of them.',
    });
  }
}

const usualLimitMs = 180_000;

function timeLimit(parsed: ParsedOptions): number {
  const text = textOption(parsed, 'timeout');
  const ms = text === undefined ? usualLimitMs : parseDurationMs(text);
  if (ms === undefined || ms <= 0) {
    throw new CasemateError('USAGE', `--timeout ${visible(text ?? '')} is not a time`, { hint: 'For example: --timeout 90s' });
  }
  return ms;
}

/** How engines are told where their daemon is; the rest of the caller's environment is nobody else's business. */
const ofEngines = [...engineVariables, 'CASEMATE_HOME', 'CASEMATE_IMAGES'];

function commandEnvironment(env: Environment): Record<string, string> {
  const found = ofEngines.flatMap((name) => {
    const value = env.get(name);
    return value === undefined ? [] : [[name, value] as const];
  });
  return { ...baseEnvironment(env), ...Object.fromEntries(found) };
}
