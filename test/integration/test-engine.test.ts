/** The Docker Engine that `npm test` starts for itself: it leaves the machine's own alone, and ends with its tests. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { dockerLacks } from '../helpers/docker-lab.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';
import { program } from '../helpers/set-up-part.ts';
import { dockerClient } from '../../src/engines/docker/docker-client.ts';
import { fieldsOf } from '../../src/engines/docker/read-json.ts';
import { run } from '../../src/system/process.ts';

const script = join(import.meta.dirname, '../../scripts/setup/docker-engine.mjs');
const path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const hasDocker = engineOrSkip('docker', await dockerLacks());
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'casemate-engine-'));
});
afterEach(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));

const code = (then: string): string =>
  `import { startDockerEngine } from '${script}'; const engine = await startDockerEngine('${join(folder, 'data')}'); console.log(JSON.stringify(engine.env)); ${then}`;

describe.skipIf(process.getuid?.() !== 0)('of root', () => {
  test('where it cannot start the reason is told, and the tests go on without it', async () => {
    await program(folder, 'dockerd', 'echo "no room for it"; exit 1');
    const { exitCode, stdout, stderr } = await run(
      process.execPath,
      ['--input-type=module', '-e', code('await engine.stop();')],
      {
        env: { PATH: `${folder}:${path}` },
        timeoutMs: 60_000,
      },
    );
    expect(stderr.toString('utf8')).toContain(
      'casemate: the tests have no Docker Engine of their own: dockerd did not start: no room for it',
    );
    expect([exitCode, stdout.toString('utf8')]).toEqual([0, '{}\n']);
  });

  test.skipIf(!hasDocker)('it has folders of its own, no bridge, and ends when its tests are killed', async () => {
    const tests = spawn(process.execPath, ['--input-type=module', '-e', code('setInterval(() => {}, 1000);')], {
      env: { PATH: path, TMPDIR: folder },
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const [line] = await new Promise<readonly string[]>((resolve) => {
      tests.stdout.once('data', (piece: Buffer) => resolve(piece.toString('utf8').split('\n')));
    });
    const socket = /"unix:\/\/(.*)"/.exec(line ?? '')?.[1] ?? '';
    const client = dockerClient(socket);
    expect(fieldsOf(await client.must('GET', '/info'))['DockerRootDir']).toBe(join(folder, 'data/data'));
    expect(await client.must('GET', '/networks')).not.toEqual(
      expect.arrayContaining([expect.objectContaining({ Driver: 'bridge' })]),
    );
    const pid = (await readFile(join(folder, 'data/engine.pid'), 'utf8')).trim();
    tests.kill('SIGKILL');
    await expect.poll(() => existsSync(`/proc/${pid}`), { timeout: 60_000 }).toBe(false);
  });
});
