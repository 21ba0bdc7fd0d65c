import { release } from 'node:os';

import { CasemateError, toCasemateError } from '../../base/errors.ts';
import type { Client } from '../../daemon/client.ts';
import { observe, type Answers } from '../../proof/inside/observe.ts';
import { beyondPublished, measuredSurface, surfaceQuestions } from '../../proof/surface/measured.ts';
import { publishedSurface, thisMachine, type PublishedSurface } from '../../proof/surface/published.ts';
import { baseEnvironment } from '../../system/environment.ts';
import { run } from '../../system/process.ts';
import type { CommandContext } from '../command.ts';
import { printJson } from '../printing/output.ts';
import type { RuntimeSurface, SurfaceReport } from '../printing/surface-report.ts';
import { surfaceText } from '../printing/surface-text.ts';
import { makeRequest } from '../reading/make-request.ts';
import { switchOption, textOption, type ParsedOptions } from '../reading/parse-options.ts';
import { connectDaemon } from './connect.ts';
import { namedTarget, throwAwayTarget, type ProveTarget } from './prove-target.ts';

/** `casemate prove --surface`: measures in a sandbox of each installed runtime. */
export async function proveSurface(name: string | undefined, parsed: ParsedOptions, context: CommandContext): Promise<number> {
  const client = await connectDaemon(context, { trust: switchOption(parsed, 'trust') });
  try {
    const report = await measure(client, { name, parsed, context });
    if (switchOption(parsed, 'json')) {
      printJson(context.stdout, report);
    } else {
      context.stdout.write(surfaceText(report));
    }
    return exitCode(report);
  } finally {
    client.close();
  }
}

interface Asked {
  readonly name: string | undefined;
  readonly parsed: ParsedOptions;
  readonly context: CommandContext;
}

async function measure(client: Client, asked: Asked): Promise<SurfaceReport> {
  const published = publishedSurface(thisMachine);
  const wanted = textOption(asked.parsed, 'runtime');
  const names = asked.name === undefined ? (wanted === undefined ? ['runc', 'crun', 'runsc'] : [wanted]) : [undefined];
  const runtimes: RuntimeSurface[] = [];
  for (const runtime of names) {
    // oxlint-disable-next-line no-await-in-loop -- one sandbox at a time
    runtimes.push(await measureOne(client, asked, { runtime, published, only: names.length === 1 }));
  }
  return { machine: thisMachine, kernel: release(), published, runtimes };
}

interface Wanted {
  /** `undefined`: that of the named sandbox */
  readonly runtime: string | undefined;
  readonly published: PublishedSurface;
  /** asked for by itself: that it is missing is an error */
  readonly only: boolean;
}

async function measureOne(client: Client, asked: Asked, { runtime, published, only }: Wanted): Promise<RuntimeSurface> {
  try {
    const target = await open(client, asked, runtime);
    try {
      const answers = await observe(target.inside, surfaceQuestions);
      const measured = measuredSurface((question) => answered(answers, question), thisMachine);
      const used = target.plan.runtime;
      return {
        runtime: used,
        version: await versionOf(used, asked.context),
        measured,
        beyond: beyondPublished(measured, published),
      };
    } finally {
      await target.remove();
    }
  } catch (thrown) {
    if (only) {
      throw thrown;
    }
    return { runtime: runtime ?? '', version: '', missing: toCasemateError(thrown).message };
  }
}

function answered(answers: Answers, question: string): unknown {
  const found = answers.get(question) ?? { missing: 'it was not asked' };
  if ('missing' in found) {
    throw new CasemateError('ENGINE_FAILED', `the surface cannot be measured: no answer to "${question}": ${found.missing}`);
  }
  return found.answer;
}

async function open(client: Client, { name, parsed, context }: Asked, runtime: string | undefined): Promise<ProveTarget> {
  return name === undefined
    ? await throwAwayTarget(client, { ...makeRequest(parsed, context), runtime })
    : await namedTarget(client, name);
}

async function versionOf(runtime: string, { env }: CommandContext): Promise<string> {
  const { stdout } = await run(runtime, ['--version'], { env: baseEnvironment(env), timeoutMs: 10_000 });
  return stdout.toString('utf8').split('\n')[0]?.trim() ?? '';
}

/** 1 where something beyond the published was reached, 125 where nothing could be measured. */
function exitCode({ runtimes }: SurfaceReport): number {
  if (runtimes.some(({ beyond = [] }) => beyond.length > 0)) {
    return 1;
  }
  return runtimes.some(({ measured }) => measured !== undefined) ? 0 : 125;
}
