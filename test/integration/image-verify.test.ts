/** Verification of a real image: green as built, red for each broken promise, and its programs confined while they are asked. */
import { appendFile, chmod, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { BuildDeps } from '../../src/images/build-facts.ts';
import type { VerifyRow } from '../../src/images/image.ts';
import type { StoredImage } from '../../src/images/stored/open-image.ts';
import { imageStore } from '../../src/images/stored/store.ts';
import { runConfined } from '../../src/images/tools/run-confined.ts';
import { failedRows, verifyRootfs } from '../../src/images/checks/verify.ts';
import { verifyImage } from '../../src/images/verify-image.ts';
import { sharedTiny, tools, uid } from '../helpers/image-lab.ts';

let image: StoredImage;
let deps: BuildDeps;
let rootfs: string;
let folder: string;

beforeAll(async () => {
  ({ image, deps } = await sharedTiny());
  folder = join(deps.paths.images, '..', `verify-${process.pid}`);
  rootfs = join(folder, 'rootfs');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await tools.run('cp', ['--archive', '--', image.rootfs, rootfs]);
});

afterAll(async () => {
  await tools.run('rm', ['-rf', '--one-file-system', '--', folder]);
});

async function failures(): Promise<readonly VerifyRow[]> {
  const expected = { digest: image.digest, manifest: await imageStore({ folder: deps.paths.images }).manifestOf(image) };
  const { rows } = await verifyRootfs(rootfs, { tools, checks: image.chain.flatMap((recipe) => recipe.checks), expected });
  return failedRows(rows);
}

test('an image as built passes every row, and a copy of its files, too', async () => {
  const { rows } = await verifyImage('tiny', deps);
  expect(rows.filter((row) => row.verdict !== 'pass' && row.check !== 'file capabilities')).toEqual([]);
  expect(rows.map((row) => row.check)).toEqual([
    'digest',
    'user',
    'passwords',
    'no sudo',
    'set-id files',
    'file capabilities',
    'device files',
    'world-writable',
    'mount points',
    'secrets',
    'tq --version',
  ]);
  expect(await failures()).toEqual([]);
});

// As an ordinary user the files belong to subordinate ids; what plants them here would have to run there, too.
describe.skipIf(uid !== 0)('each broken promise turns its row red and says where', () => {
  const jq = (): string => join(rootfs, 'usr/bin/jq');
  const token = `ghp_${'a1B2c3'.repeat(6)}`;

  test.each<[string, RegExp, () => Promise<unknown>, () => Promise<unknown>]>([
    ['set-id files', /^\/usr\/bin\/jq$/, () => chmod(jq(), 0o4755), () => chmod(jq(), 0o755)],
    ['digest', /^\/usr\/bin\/jq differs$/, () => chmod(jq(), 0o700), () => chmod(jq(), 0o755)],
    ['world-writable', /^\/opt$/, () => chmod(join(rootfs, 'opt'), 0o777), () => chmod(join(rootfs, 'opt'), 0o755)],
    [
      'secrets',
      /^\/opt\/note \(GitHub token\)$/,
      () => writeFile(join(rootfs, 'opt/note'), `token ${token}\n`),
      () => rm(join(rootfs, 'opt/note')),
    ],
    [
      'secrets',
      /^\/srv\/\.env \(by name\)$/,
      () => writeFile(join(rootfs, 'srv/.env'), 'A=1\n'),
      () => rm(join(rootfs, 'srv/.env')),
    ],
    [
      'device files',
      /^\/opt\/null$/,
      () => tools.run('mknod', [join(rootfs, 'opt/null'), 'c', '1', '3']),
      () => rm(join(rootfs, 'opt/null')),
    ],
    ['device files', /^\/opt\/pipe$/, () => tools.run('mkfifo', [join(rootfs, 'opt/pipe')]), () => rm(join(rootfs, 'opt/pipe'))],
    ['no sudo', /^\/usr\/bin\/sudo$/, () => writeFile(join(rootfs, 'usr/bin/sudo'), ''), () => rm(join(rootfs, 'usr/bin/sudo'))],
    [
      'mount points',
      /^\/workspace is not a folder$/,
      () => rename(join(rootfs, 'workspace'), join(rootfs, 'w')),
      () => rename(join(rootfs, 'w'), join(rootfs, 'workspace')),
    ],
    [
      'tq --version',
      /expected "jq-1", got exit code 127/,
      () => rename(jq(), `${jq()}-away`),
      () => rename(`${jq()}-away`, jq()),
    ],
  ])('%s: %s', async (check, detail, plant, undo) => {
    await plant();
    try {
      expect((await failures()).filter((row) => row.check === check)).toEqual([
        { check, verdict: 'fail', detail: expect.stringMatching(detail) },
      ]);
    } finally {
      await undo();
    }
    expect(await failures()).toEqual([]);
  });

  test('a second root, a password and a changed agent are seen', async () => {
    const passwd = join(rootfs, 'etc/passwd');
    const shadow = join(rootfs, 'etc/shadow');
    await tools.run('cp', ['--archive', passwd, `${passwd}.kept`]);
    await tools.run('cp', ['--archive', shadow, `${shadow}.kept`]);
    try {
      await appendFile(passwd, 'toor:x:0:0::/:/bin/sh\n');
      await appendFile(shadow, 'toor:$y$j9T$abc:19000:0:::::\nopen::19000:0:::::\n');
      const rows = await failures();
      expect(rows.find((row) => row.check === 'user')?.detail).toBe('toor has uid 0');
      expect(rows.find((row) => row.check === 'passwords')?.detail).toBe('toor can log in, open can log in');
    } finally {
      await rename(`${passwd}.kept`, passwd);
      await rename(`${shadow}.kept`, shadow);
    }
  });

  test('what a secret says is never repeated', async () => {
    await writeFile(join(rootfs, 'opt/note'), `token ${token}\n`);
    try {
      expect(JSON.stringify(await failures())).not.toContain(token);
    } finally {
      await rm(join(rootfs, 'opt/note'));
    }
  });
});

describe('programs of an image, while they are checked,', () => {
  const ask = async (script: string): Promise<string> => {
    const [result] = await runConfined(image.rootfs, [['sh', '-c', script]], { tools, timeoutMs: 50_000 });
    return `${result?.stdout.toString() ?? ''}${result?.stderr.toString() ?? ''}`.trim();
  };

  test('are nobody: no root, no capability, no new privileges', async () => {
    expect(await ask('id -u; id -G; grep -E "^(CapEff|CapPrm|CapAmb|NoNewPrivs)" /proc/self/status | tr -d "\\t0"')).toBe(
      '64321\n64321\nCapPrm:\nCapEff:\nCapAmb:\nNoNewPrivs:1',
    );
  });

  test('have no network, see no other process, and cannot write into the image', async () => {
    expect(await ask('tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d " "')).toBe('lo');
    expect(await ask('ls /proc | grep -c "^[0-9]"')).toMatch(/^[2-9]$/);
    expect(await ask('touch /usr/x /home/agent/x /var/tmp/x 2>&1 | grep -cE "Read-only|denied"')).toBe('3');
  });

  test('do not get the environment of this program', async () => {
    expect(
      (await ask('env | cut -d= -f1 | sort | tr "\\n" " "')).split(' ').filter((name) => !['_', 'PWD'].includes(name)),
    ).toEqual(['HOME', 'LANG', 'PATH', 'USER']);
  });

  test('are ended when they do not end', async () => {
    await expect(runConfined(image.rootfs, [['sleep', '60']], { tools, timeoutMs: 500 })).rejects.toMatchObject({
      code: 'TIMED_OUT',
    });
  });
});
