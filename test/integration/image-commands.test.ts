/** The image commands as a person gives them, on a real small image. */
import { PassThrough } from 'node:stream';

import { beforeAll, expect, test } from 'vitest';

import type { CommandContext } from '../../src/cli/command.ts';
import { imageCommands } from '../../src/cli/table/image-commands.ts';
import type { BuildDeps } from '../../src/images/build-facts.ts';
import type { StoredImage } from '../../src/images/stored/open-image.ts';
import { processEnvironment } from '../../src/system/environment.ts';
import { pathsFrom } from '../../src/system/paths.ts';
import { sharedTiny, uid } from '../helpers/image-lab.ts';

let image: StoredImage;
let deps: BuildDeps;

beforeAll(async () => {
  ({ image, deps } = await sharedTiny());
});

async function give(name: string, ...args: readonly string[]): Promise<{ code: number; out: string; err: string }> {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const context = {
    env: processEnvironment,
    paths: { ...pathsFrom(processEnvironment, uid), images: deps.paths.images },
    cwd: process.cwd(),
    uid,
    stdin: process.stdin,
    stdout: stdout as unknown as CommandContext['stdout'],
    stderr: stderr as unknown as CommandContext['stderr'],
  };
  const row = imageCommands[`image ${name}`];
  if (row === undefined) {
    throw new Error(`there is no command image ${name}`);
  }
  const { run } = await row.load();
  const code = await run(args, context, row);
  return { code, out: String(stdout.read() ?? ''), err: String(stderr.read() ?? '') };
}

test('ls has a row for the image, as text and as JSON', async () => {
  expect((await give('ls')).out).toMatch(new RegExp(`^tiny +${image.digest.slice(7, 19)} +\\d+ MiB .* current$`, 'm'));
  expect(JSON.parse((await give('ls', '--json')).out)).toContainEqual(
    expect.objectContaining({ recipe: 'tiny', digest: image.digest, current: true }),
  );
});

test('show gives recipe, lock and materials', async () => {
  expect((await give('show', 'tiny')).out).toMatch(/^materials +\d+ components/m);
  const shown = JSON.parse((await give('show', 'tiny', '--json')).out) as {
    lock: { debian: unknown[] };
    bom: { components: unknown[] };
  };
  expect(shown.lock.debian.length).toBeGreaterThan(50);
  expect(shown.bom.components.length).toBe(shown.lock.debian.length);
});

test('verify prints a row for each promise and ends with 0', async () => {
  const { code, out } = await give('verify', 'tiny', '--json');
  expect(code).toBe(0);
  expect(JSON.parse(out)).toMatchObject({
    verdict: 'pass',
    rows: expect.arrayContaining([{ check: 'secrets', verdict: 'pass', detail: 'none found' }]),
  });
});

test('rm without the name once more removes nothing', async () => {
  await expect(give('rm', 'tiny')).rejects.toMatchObject({
    code: 'CONFIRMATION_MISSING',
    hint: 'Run: casemate image rm tiny --confirm tiny',
  });
  await expect(give('rm', 'tiny', '--confirm', 'tony')).rejects.toMatchObject({ code: 'CONFIRMATION_MISSING' });
  expect((await give('show', 'tiny')).code).toBe(0);
});

test('a wrong name gets the nearest, a wrong option the known ones, a missing file one line', async () => {
  await expect(give('show', 'tyni')).rejects.toMatchObject({ code: 'RECIPE_INVALID', hint: 'Did you mean tiny?' });
  await expect(give('build', 'bse')).rejects.toMatchObject({ code: 'RECIPE_INVALID', hint: 'Did you mean base?' });
  await expect(give('build', '--lock')).rejects.toMatchObject({ code: 'USAGE' });
  await expect(give('build', './absent.yaml')).rejects.toMatchObject({
    code: 'PATH_INVALID',
    message: 'cannot read the recipe ./absent.yaml',
  });
});
