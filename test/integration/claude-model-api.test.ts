import { chmod, copyFile, chown, cp, link, mkdir, mkdtemp, readFile, readdir, readlink, rm, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';

import { agents } from '../../src/agents/agents.ts';
import { makePhantom } from '../../src/credentials/phantom.ts';
import { providers } from '../../src/credentials/providers.ts';
import { imageStore } from '../../src/images/stored/store.ts';
import { dataFile } from '../../src/system/data-file.ts';
import { processEnvironment } from '../../src/system/environment.ts';
import { pathsFrom } from '../../src/system/paths.ts';
import { run } from '../../src/system/process.ts';
import { mendSample } from '../../src/tour/model-api/mend-sample.ts';
import { startModelApi, type ModelApi } from '../../src/tour/model-api/model-api.ts';

/** The real Claude Code, with our home files, variables and arguments, against the stand-in over loopback, without a sandbox. */

const ownUid = process.getuid?.() ?? 0;
const uid = ownUid === 0 ? 65_534 : ownUid;
const given = await findClaude();
if (given === undefined) {
  process.stderr.write('skipped: no Claude Code; set CASEMATE_TEST_CLAUDE to its program, or build the image claude\n');
}

async function findClaude(): Promise<string | undefined> {
  const named = processEnvironment.get('CASEMATE_TEST_CLAUDE');
  if (named !== undefined) {
    return named;
  }
  const image = await imageStore({ folder: pathsFrom(processEnvironment, ownUid).images })
    .find('claude')
    .catch(() => undefined);
  if (image === undefined) {
    return undefined;
  }
  const path = join(image.rootfs, await readlink(join(image.rootfs, agents.claude.program)));
  return existsSync(path) ? path : undefined;
}

const phantom = makePhantom(providers.anthropic.phantom, {
  sandboxId: 'cm-0123456789abcdef',
  credentialName: 'anthropic',
  installationKey: Buffer.alloc(32, 3),
});

let folder: string;
let program: string;
let api: ModelApi | undefined;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'casemate-claude-'));
  await chmod(folder, 0o755);
  program = join(folder, 'claude');
  if (given !== undefined) {
    // Where it lies only its owner may look; here the ordinary user can start it.
    await link(given, program).catch(() => copyFile(given, program));
  }
});

afterEach(async () => {
  await api?.close();
  api = undefined;
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function own(path: string): Promise<void> {
  await chown(path, uid, uid);
  for (const entry of await readdir(path, { recursive: true })) {
    await chown(join(path, entry), uid, uid);
  }
}

interface Session {
  readonly exitCode: number;
  readonly result: { readonly result: string; readonly is_error: boolean; readonly permission_denials: readonly unknown[] };
  readonly source: string;
  readonly testsPass: boolean;
}

async function session(permissions: 'ask' | 'skip', key = phantom): Promise<Session> {
  const work = join(folder, `work-${permissions}`);
  const home = join(folder, `home-${permissions}`);
  await cp(dataFile('tour/sample'), work, { recursive: true });
  await mkdir(home, { recursive: true });
  const setup = { permissions, telemetry: false, phantom };
  for (const file of agents.claude.homeFiles(setup)) {
    await mkdir(dirname(join(home, file.path)), { recursive: true });
    await writeFile(join(home, file.path), file.content, { mode: file.mode });
  }
  await own(work);
  await own(home);
  // A closed port: the address serves as one that cannot be reached, without any traffic beyond loopback.
  api = await startModelApi({ expectedKey: key, script: mendSample({ root: work, reach: 'http://127.0.0.1:9/' }) });
  const [, ...args] = agents.claude.start({
    permissions,
    prompt: 'Make the tests pass.',
    args: ['--output-format', 'stream-json', '--verbose'],
  });
  const path = `${dirname(process.execPath)}:/usr/bin:/bin`;
  const env = {
    ...agents.claude.env(setup),
    HOME: home,
    PATH: path,
    TERM: 'dumb',
    ANTHROPIC_API_KEY: phantom,
    ANTHROPIC_BASE_URL: api.url,
    HTTPS_PROXY: 'http://127.0.0.1:9',
    NO_PROXY: '127.0.0.1',
  };
  const ended = await run(program, args, { cwd: work, env, uid, gid: uid, timeoutMs: 170_000 });
  const lines = ended.stdout.toString('utf8').trimEnd().split('\n');
  const last = JSON.parse(lines.at(-1) ?? '{}') as Session['result'];
  const tests = await run(process.execPath, ['--test'], { cwd: work, env: { PATH: path, HOME: home }, uid, gid: uid });
  const source = await readFile(join(work, 'src/opening-hours.js'), 'utf8');
  return { exitCode: ended.exitCode, result: last, source, testsPass: tests.exitCode === 0 };
}

test.skipIf(given === undefined)(
  'with permissions skipped it mends the sample and reports what it could not reach',
  { timeout: 240_000 },
  async () => {
    const { exitCode, result, source, testsPass } = await session('skip');
    expect(result.result).toMatch(/all tests pass\. I could not reach http:\/\/127\.0\.0\.1:9\/ from here/);
    expect({ exitCode, testsPass, error: result.is_error, denials: result.permission_denials }).toEqual({
      exitCode: 0,
      testsPass: true,
      error: false,
      denials: [],
    });
    expect(source).toContain('round the clock');
  },
);

test.skipIf(given === undefined)(
  'every request it makes is on the list of the functions it needs',
  { timeout: 240_000 },
  async () => {
    await session('skip');
    const allowed = agents.claude.hosts.filter((host) => !host.telemetry).flatMap((host) => host.http ?? []);
    const outside = (api?.requests ?? []).filter(
      ({ method, path }) =>
        !allowed.some((entry) => entry.path === path.split('?')[0] && entry.methods?.includes(method) === true),
    );
    expect(outside).toEqual([]);
    expect(api?.requests.filter((request) => request.status === 200).every((request) => request.authorized)).toBe(true);
  },
);

test.skipIf(given === undefined)('where it must ask and nobody answers, it changes nothing', { timeout: 240_000 }, async () => {
  const { result, testsPass, source } = await session('ask');
  expect(result.permission_denials.length).toBeGreaterThan(0);
  expect(testsPass).toBe(false);
  expect(source).toBe(await readFile(dataFile('tour/sample/src/opening-hours.js'), 'utf8'));
});

test.skipIf(given === undefined)('a key the API does not know is reported as such', { timeout: 240_000 }, async () => {
  const { result, testsPass } = await session('skip', 'another-key');
  expect({ error: result.is_error, testsPass }).toEqual({ error: true, testsPass: false });
  expect(result.result).toMatch(/api key/i);
});
