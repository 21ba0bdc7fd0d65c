import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { run } from '../../src/system/process.ts';
import { makeHome, wholeWayLacks, type Home, type Outcome } from '../helpers/cli.ts';
import { startRegistry, type Registry } from '../helpers/registry.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

/** The real npm and pip inside a sandbox, against a registry outside whose newest versions are a day old. */

const host = 'registry.example';
const pip = await pipOfHost();
if (pip === undefined) {
  process.stderr.write('SKIP pip: this machine has none to lend to the sandbox\n');
}

/** A folder with pip in it, which is plain Python. */
async function pipOfHost(): Promise<string | undefined> {
  const env = { PATH: process.env['PATH'] ?? '/usr/bin:/bin', HOME: process.env['HOME'] ?? '/' };
  const found = await run('python3', ['-c', 'import pip; print(pip.__path__[0])'], { env }).catch(() => undefined);
  return found?.exitCode === 0 ? found.stdout.toString('utf8').trim() : undefined;
}

describe.skipIf(!engineOrSkip('oci', await wholeWayLacks()))('package clients behind the guard', { timeout: 240_000 }, () => {
  let home: Home;
  let registry: Registry;

  beforeAll(async () => {
    home = await makeHome();
    registry = await startRegistry(host, [
      { ecosystem: 'npm', name: 'alpha', version: '1.0.0', ageDays: 400 },
      { ecosystem: 'npm', name: 'alpha', version: '1.1.0', ageDays: 90 },
      { ecosystem: 'npm', name: 'alpha', version: '1.2.0', ageDays: 1 },
      { ecosystem: 'npm', name: 'beta', version: '0.0.1', ageDays: 1 },
      { ecosystem: 'pypi', name: 'gamma', version: '1.0', ageDays: 400 },
      { ecosystem: 'pypi', name: 'gamma', version: '2.0', ageDays: 1 },
    ]);
    await mkdir(home.paths.config, { recursive: true, mode: 0o700 });
    const policy = [
      'version: 1',
      'network:',
      `  - { host: ${host}, ports: [80], upstream: "http://127.0.0.1:${registry.port}" }`,
      `packages: { minAge: 7d, registries: { npm: [${host}], pypi: [${host}] } }`,
      '',
    ].join('\n');
    await writeFile(join(home.paths.config, 'policy.yaml'), policy);
    if (pip !== undefined) {
      await cp(pip, join(home.project, 'lent/pip'), { recursive: true });
    }
    const lock = {
      name: 'p',
      version: '1.0.0',
      lockfileVersion: 3,
      packages: {
        '': { name: 'p', version: '1.0.0', dependencies: { alpha: '^1.0.0' } },
        'node_modules/alpha': {
          version: '1.2.0',
          resolved: `http://${host}/alpha/-/alpha-1.2.0.tgz`,
          integrity: registry.npmIntegrity('alpha', '1.2.0'),
        },
      },
    };
    await mkdir(join(home.project, 'other'));
    await writeFile(
      join(home.project, 'other/package.json'),
      JSON.stringify({ name: 'p', version: '1.0.0', dependencies: { alpha: '^1.0.0' } }),
    );
    await writeFile(join(home.project, 'other/package-lock.json'), JSON.stringify(lock));
  });

  afterAll(async () => {
    registry.close();
    await home.remove();
  });

  const inside = async (script: string): Promise<Outcome> =>
    await home.casemate(['run', '--', 'bash', '-c', `npm config set registry http://${host}/; mkdir -p ~/w; cd ~/w; ${script}`], {
      timeoutMs: 230_000,
    });

  it('npm install takes the newest version that is old enough, and says why', async () => {
    const { out, err } = await inside(
      'npm init -y >/dev/null; npm install alpha --no-audit --loglevel notice; node -p "require(\'alpha\')"',
    );
    expect(out).toContain('1.1.0');
    expect(out + err).toMatch(
      /casemate withholds of alpha: 1\.2\.0 \(it was published 24 h \d+ min ago, and "packages\.minAge" is 7 days\)/,
    );
  });

  it('npm is told why of a package that has no version left', async () => {
    const { out, err } = await inside('npm init -y >/dev/null; npm install beta --no-audit; echo "code $?"');
    expect(out).toContain('code 1');
    expect(out + err).toContain('no version of beta is offered: 0.0.1: it was published');
  });

  it('npm ci installs what the lock file named at the start, and nothing that was written into it since', async () => {
    const notYet = await inside('cp /workspace/other/* .; npm ci --no-audit 2>&1; echo "code $?"');
    expect(notYet.out).toContain('code 1');
    expect(notYet.out).toMatch(/403 Forbidden.*package-withheld.* http:\/\/registry\.example\/alpha\/-\/alpha-1\.2\.0\.tgz/);
    await cp(join(home.project, 'other'), home.project, { recursive: true });
    const { out } = await inside('cp /workspace/package*.json .; npm ci --no-audit 2>&1; node -p "require(\'alpha\')"');
    await rm(join(home.project, 'package-lock.json'));
    expect(out).toMatch(/\n1\.2\.0\n$/);
    const journal = await home.casemate(['journal', 'query', '--grep', 'locked=true', '--json']);
    expect(journal.out).toContain('alpha-1.2.0.tgz');
  });

  it.skipIf(pip === undefined)('pip takes the newest version that is old enough', async () => {
    const flags = `--index-url http://${host}/simple/ --trusted-host ${host} --target ~/w/lib --no-cache-dir --disable-pip-version-check`;
    const lent = 'export PYTHONPATH=/workspace/lent PYTHONDONTWRITEBYTECODE=1;';
    const { out, err } = await inside(
      `${lent} python3 -m pip install ${flags} gamma; PYTHONPATH=~/w/lib python3 -c "import gamma; print('got', gamma.version)"`,
    );
    expect(`${out}${err}`).toContain('got 1.0');
    const young = await inside(`${lent} python3 -m pip install ${flags} gamma==2.0; echo "code $?"`);
    expect(young.out + young.err).toMatch(
      /No matching distribution found for gamma==2\.0[\s\S]*code 1|code 1[\s\S]*No matching distribution found/,
    );
    expect(registry.asked.filter((line) => line.includes('gamma-2.0'))).toEqual([]);
  });

  it('the control: without an age the newest versions are taken', async () => {
    const path = join(home.paths.config, 'policy.yaml');
    const policy = await readFile(path, 'utf8');
    await writeFile(path, policy.replace('minAge: 7d, ', ''));
    const { out } = await inside('npm init -y >/dev/null; npm install alpha --no-audit >/dev/null; node -p "require(\'alpha\')"');
    await writeFile(path, policy);
    expect(out).toContain('1.2.0');
  });
});
