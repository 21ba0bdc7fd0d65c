import { cp, mkdir, mkdtemp, readlink, rm, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { agents } from '../../src/agents/agents.ts';
import { imageStore } from '../../src/images/stored/store.ts';
import { dataFile } from '../../src/system/data-file.ts';
import { processEnvironment } from '../../src/system/environment.ts';
import { pathsFrom } from '../../src/system/paths.ts';
import { run } from '../../src/system/process.ts';
import { mendSample } from '../../src/tour/model-api/mend-sample.ts';
import { startModelApi } from '../../src/tour/model-api/model-api.ts';

/** The real Codex, with our home files and arguments, against the stand-in over loopback, without a sandbox. */

const ownUid = process.getuid?.() ?? 0;
const given = await findCodex();
if (given === undefined) {
  process.stderr.write('skipped: no Codex; set CASEMATE_TEST_CODEX to its program, or build the image codex\n');
}

async function findCodex(): Promise<string | undefined> {
  const named = processEnvironment.get('CASEMATE_TEST_CODEX');
  if (named !== undefined) {
    return named;
  }
  const image = await imageStore({ folder: pathsFrom(processEnvironment, ownUid).images })
    .find('codex')
    .catch(() => undefined);
  if (image === undefined) {
    return undefined;
  }
  const path = join(image.rootfs, await readlink(join(image.rootfs, agents.codex.program)));
  return existsSync(path) ? path : undefined;
}

let folder: string;

beforeAll(async () => {
  // Codex refuses a home below the folder for temporary files, so that one is moved for it.
  folder = await mkdtemp(join(tmpdir(), 'casemate-codex-'));
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function session(permissions: 'ask' | 'skip'): Promise<{ output: string; testsPass: boolean }> {
  const work = join(folder, `work-${permissions}`);
  const home = join(folder, `home-${permissions}`);
  await cp(dataFile('tour/sample'), work, { recursive: true });
  await mkdir(join(folder, 'tmp'), { recursive: true });
  for (const file of agents.codex.homeFiles({ permissions, telemetry: false, phantom: 'phantom' })) {
    await mkdir(dirname(join(home, file.path)), { recursive: true });
    await writeFile(join(home, file.path), file.content, { mode: file.mode });
  }
  const api = await startModelApi({ expectedKey: 'phantom', script: mendSample({ root: work, reach: undefined }) });
  try {
    const provider = `model_providers.s={name="s",base_url="${api.url}/v1",env_key="OPENAI_API_KEY",wire_api="responses"}`;
    const [, ...args] = agents.codex.start({
      permissions,
      prompt: 'Make the tests pass.',
      args: ['--json', '-c', 'model_provider="s"', '-c', provider],
    });
    const path = `${dirname(process.execPath)}:/usr/bin:/bin`;
    const proxy = { HTTPS_PROXY: 'http://127.0.0.1:9', NO_PROXY: '127.0.0.1' };
    const env = { HOME: home, PATH: path, TERM: 'dumb', TMPDIR: join(folder, 'tmp'), OPENAI_API_KEY: 'phantom', ...proxy };
    const ended = await run(given ?? '', args, { cwd: work, env, timeoutMs: 170_000 });
    const tests = await run(process.execPath, ['--test'], { cwd: work, env: { PATH: path, HOME: homedir() } });
    return { output: `${ended.stdout.toString('utf8')}\n${ended.stderr.toString('utf8')}`, testsPass: tests.exitCode === 0 };
  } finally {
    await api.close();
  }
}

test.skipIf(given === undefined)('with approvals skipped Codex mends the sample', { timeout: 240_000 }, async () => {
  const { output, testsPass } = await session('skip');
  expect(output).toContain('all tests pass');
  expect(testsPass).toBe(true);
});

test.skipIf(given === undefined)(
  'where it must ask and nobody answers, Codex changes nothing',
  { timeout: 240_000 },
  async () => {
    const { output, testsPass } = await session('ask');
    expect(output).toContain('I could not');
    expect(testsPass).toBe(false);
  },
);
