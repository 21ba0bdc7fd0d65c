import { processEnvironment, type Environment } from '../../src/system/environment.ts';

/**
 * Decides whether tests of an engine run. `missing` is what the probe found wanting, `undefined` when the engine is here.
 * Where `REQUIRE_ENGINES` (comma-separated, set by `npm test` in CI) names the engine, a missing one throws instead.
 * A skip says why on standard error. Use: `describe.skipIf(!engineOrSkip('oci', await whatOciLacks()))(…)`.
 */
export function engineOrSkip(name: string, missing: string | undefined, options: SkipOptions = {}): boolean {
  const { env = processEnvironment, say = (line) => process.stderr.write(line) } = options;
  if (missing === undefined) {
    return true;
  }
  if (requiredEngines(env).includes(name)) {
    throw new Error(`engine ${name} is required here (REQUIRE_ENGINES) and missing: ${missing}`);
  }
  say(`SKIP ${name}: ${missing}\n`);
  return false;
}

export interface SkipOptions {
  readonly env?: Environment;
  readonly say?: (line: string) => unknown;
}

function requiredEngines(env: Environment): readonly string[] {
  return (env.get('REQUIRE_ENGINES') ?? '').split(',').map((name) => name.trim());
}
