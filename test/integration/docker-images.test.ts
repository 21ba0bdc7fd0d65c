/** Copies of our images in a Docker Engine and in Podman: made once, found again, and removed with the image; images of others stay as they are. */
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { dockerClient } from '../../src/engines/docker/docker-client.ts';
import { engineFacts } from '../../src/engines/docker/engine-facts.ts';
import { importedImage } from '../../src/engines/docker/import-image.ts';
import { fieldsOf, rowsOf, textOf } from '../../src/engines/docker/read-json.ts';
import { removeCopies } from '../../src/engines/docker/remove-copies.ts';
import { spawnProcess, type Spawn } from '../../src/system/process.ts';
import { dockerLacks, socketOf } from '../helpers/docker-lab.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

const present = (
  [
    { name: 'docker', is: engineOrSkip('docker', await dockerLacks()) },
    { name: 'podman', is: engineOrSkip('podman', await dockerLacks('podman')) },
  ] as const
).filter(({ is }) => is);

describe.each(present)('an image in $name', ({ name: engine }) => {
  const client = dockerClient(socketOf(engine));
  const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' };
  const foreign = `casemate-test-${randomBytes(4).toString('hex')}`;
  let root: string;
  let folder: string;
  let engineId: string;
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'casemate-copies-'));
    folder = join(root, 'engines');
    ({ id: engineId } = await engineFacts(client));
  });
  afterAll(async () => {
    await client.call('DELETE', `/images/${foreign}:kept`);
    await rm(root, { recursive: true, force: true });
  });

  const made = async () => {
    const digest = randomBytes(32).toString('hex');
    const rootfs = join(root, `sha256-${digest}/rootfs`);
    await mkdir(rootfs, { recursive: true });
    await writeFile(join(rootfs, 'file'), digest);
    const id = await importedImage(rootfs, { client, engineId, folder, env });
    return { digest: `sha256:${digest}`, id, rootfs };
  };
  const isThere = async (id: string) => (await client.call('GET', `/images/${id}/json`)).status === 200;

  test('goes with ours, once; what is not ours stays', async () => {
    const [one, other] = [await made(), await made()];
    expect(await importedImage(one.rootfs, { client, engineId, folder, env })).toBe(one.id);
    const before = rowsOf(await client.must('GET', '/images/json')).map((row) => textOf(fieldsOf(row)['Id']));
    expect(await removeCopies(one.digest, { client, folder })).toEqual([expect.stringMatching(/^removed its copy/)]);
    expect(await isThere(one.id)).toBe(false);
    const after = rowsOf(await client.must('GET', '/images/json')).map((row) => textOf(fieldsOf(row)['Id']));
    expect(before.filter((id) => id !== one.id && !after.includes(id))).toEqual([]);
    expect(await removeCopies(one.digest, { client, folder })).toEqual([]);
    expect(await isThere(other.id)).toBe(true);
    await removeCopies(other.digest, { client, folder });
  });

  test.each([
    [1, 1, true],
    [1, 9, false],
    [2, 1, false],
  ])('that tar ends with %i for, %i times, is read again and kept: %s', async (exitCode, times, isKept) => {
    const digest = randomBytes(32).toString('hex');
    const rootfs = join(root, `sha256-${digest}/rootfs`);
    await mkdir(rootfs, { recursive: true });
    await writeFile(join(rootfs, 'file'), digest);
    const imagesNow = async () => rowsOf(await client.must('GET', '/images/json')).map((row) => textOf(fieldsOf(row)['Id']));
    const before = await imagesNow();
    let calls = 0;
    const spawn: Spawn = (file, args, options) => {
      calls += 1;
      const ends = calls > times ? '' : `; exit ${exitCode}`;
      return spawnProcess('sh', ['-c', `"$@"${ends}`, 'sh', file, ...args], options);
    };
    const imported = importedImage(rootfs, { client, engineId, folder, env, spawn });
    if (isKept) {
      expect(await isThere(await imported)).toBe(true);
      await removeCopies(`sha256:${digest}`, { client, folder });
    } else {
      await expect(imported).rejects.toThrow('cannot read the image');
    }
    // Of what was not kept nothing stays.
    expect((await imagesNow()).filter((id) => !before.includes(id))).toEqual([]);
  });

  test('stays where somebody else has given it a name', async () => {
    const { digest, id } = await made();
    await client.must('POST', `/images/${id}/tag`, { query: { repo: foreign, tag: 'kept' } });
    expect(await removeCopies(digest, { client, folder })).toEqual([expect.stringContaining(`${foreign}:kept`)]);
    expect(await isThere(id)).toBe(true);
    await client.call('DELETE', `/images/${id}`, { query: { force: true } });
    expect(await isThere(id)).toBe(false);
  });

  test('is not whatever the note of its id says', async () => {
    const { id } = await made();
    const another = await made();
    const [file = ''] = await notes(folder, another.digest);
    await writeFile(join(folder, file), `${id}\n`);
    await removeCopies(another.digest, { client, folder });
    expect(await isThere(id)).toBe(true);
    expect(await isThere(another.id)).toBe(false);
    await client.call('DELETE', `/images/${id}`);
  });
});

async function notes(folder: string, digest: string): Promise<readonly string[]> {
  return (await readdir(folder)).filter((name) => name.endsWith(digest.slice('sha256:'.length)));
}
