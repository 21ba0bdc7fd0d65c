/** Wall-clock time of programs, taken in rounds so that a busy moment of the machine meets every contender alike. */
import { isCasemateError } from '../src/base/errors.ts';
import { processEnvironment, baseEnvironment } from '../src/system/environment.ts';
import { run, type RunResult } from '../src/system/process.ts';

export interface Contender {
  readonly name: string;
  readonly file: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>> | undefined;
  readonly cwd?: string | undefined;
}

export const hostEnv: Readonly<Record<string, string>> = baseEnvironment(processEnvironment);

/** A program's result; a missing program is a result, too. */
export async function attempt(
  file: string,
  args: readonly string[],
  options: { env?: Readonly<Record<string, string>>; cwd?: string } = {},
): Promise<RunResult | undefined> {
  try {
    return await run(file, args, { env: options.env ?? hostEnv, cwd: options.cwd, timeoutMs: 120_000 });
  } catch (error) {
    if (isCasemateError(error) && error.code === 'TOOL_MISSING') {
      return undefined;
    }
    throw error;
  }
}

/** Why a contender cannot run here, in one line; `undefined`: it can. Runs it once, which also warms what is to be warm. */
export async function whyNot({ file, args, env, cwd }: Contender): Promise<string | undefined> {
  const result = await attempt(file, args, { ...(env === undefined ? {} : { env }), ...(cwd === undefined ? {} : { cwd }) });
  if (result === undefined) {
    return `${file} is not installed`;
  }
  const said = result.stderr.toString('utf8').trim().split('\n')[0] ?? '';
  return result.exitCode === 0 ? undefined : `${file} ended with ${result.exitCode}: ${said.slice(0, 160)}`;
}

/** Milliseconds of each round by contender; throws where one fails that ran before. */
export async function timeInRounds(
  contenders: readonly Contender[],
  rounds: number,
): Promise<ReadonlyMap<string, readonly number[]>> {
  const samples = new Map(contenders.map(({ name }): [string, number[]] => [name, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (const { name, file, args, env, cwd } of contenders) {
      const started = performance.now();
      const { exitCode, stderr } = await run(file, args, { env: env ?? hostEnv, cwd, timeoutMs: 120_000 });
      samples.get(name)?.push(performance.now() - started);
      if (exitCode !== 0) {
        throw new Error(`${name} failed in round ${round}: ${stderr.toString('utf8').slice(-300)}`);
      }
    }
  }
  return samples;
}
