/** `casemate prove` as a user calls it: verdicts, exit codes, the signed report, the journal, and nothing left behind. */
import { spawn } from 'node:child_process';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { Report } from '../../src/proof/statement.ts';
import { entry, makeHome, wholeWayLacks, type Home } from '../helpers/cli.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

describe.skipIf(!engineOrSkip('oci', await wholeWayLacks()))('casemate prove', { timeout: 240_000 }, () => {
  let home: Home;
  let temporary: string;

  beforeAll(async () => {
    home = await makeHome();
    // Proofs of others on this machine are none of ours.
    temporary = join(home.root, 'temporary');
    await mkdir(temporary);
    home.env['TMPDIR'] = temporary;
  });
  afterAll(async () => {
    await home.remove();
  });

  const proofFolders = async (): Promise<readonly string[]> =>
    (await readdir(temporary)).filter((name) => name.startsWith('casemate-proof-'));

  /** Processes whose home is one of these folders. */
  async function daemonsOf(folders: readonly string[]): Promise<readonly string[]> {
    const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
    const found = await Promise.all(
      pids.map(async (pid) => {
        const text = await readFile(`/proc/${pid}/environ`, 'latin1').catch(() => '');
        return folders.some((folder) => text.includes(`CASEMATE_HOME=${join(temporary, folder)}/`)) ? [pid] : [];
      }),
    );
    return found.flat();
  }

  async function until(holds: () => Promise<boolean>): Promise<void> {
    for (let tries = 0; tries < 300 && !(await holds()); tries += 1) {
      await sleep(100);
    }
    expect(await holds()).toBe(true);
  }

  const sandboxes = async (): Promise<readonly unknown[]> => JSON.parse((await home.casemate(['ls', '--json'])).out);

  it('attacks a sandbox of the policy, has the verdict signed and recorded, and leaves nothing behind', async () => {
    const html = join(home.root, 'proof.html');
    const { code, out, err } = await home.casemate(['prove', '--profile', 'quick', '--json', '--html', html], {
      timeoutMs: 200_000,
    });
    expect([code, err]).toEqual([0, '']);
    const report: Report = JSON.parse(out);
    expect(report.findings.filter(({ verdict }) => verdict !== 'held' && verdict !== 'not-applicable')).toEqual([]);
    expect(report.findings.length).toBeGreaterThan(15);
    expect(report.findings.flatMap(({ rows }) => rows).filter(({ from }) => from === 'outside').length).toBeGreaterThan(10);
    expect(report.statement).toMatchObject({ engine: 'oci', runtime: 'runc', waived: [], target: { name: 'policy' } });
    expect(await readFile(html, 'utf8')).toContain('<h1>Proof of <em>policy</em></h1>');
    await until(async () => (await sandboxes()).length === 0);
    expect(await proofFolders()).toEqual([]);

    const query = await home.casemate(['journal', 'query', '--action', 'proof.verdict', '--json']);
    expect(JSON.parse(query.out)).toMatchObject({
      outcome: 'held',
      policy: report.statement.policyHash,
      detail: { findings: report.statement.findings, plan: report.statement.planHash },
    });

    const file = join(home.root, 'proof.json');
    await writeFile(file, out);
    expect(await home.casemate(['prove', '--verify', file])).toMatchObject({
      code: 0,
      out: expect.stringContaining('signed by'),
    });
    await writeFile(file, out.replace('"seen": "EPERM"', '"seen": "DONE"'));
    expect(await home.casemate(['prove', '--verify', file])).toMatchObject({
      code: 1,
      out: expect.stringContaining('not valid'),
    });
    await writeFile(file, '{}');
    expect(await home.casemate(['prove', '--verify', file])).toMatchObject({ code: 2 });
  });

  it('attacks a running sandbox by its name and leaves it running', async () => {
    await home.casemate(['create', 'kept']);
    await home.casemate(['start', 'kept']);
    const { code, out } = await home.casemate(['prove', 'kept', '--profile', 'quick', '--only', 'G1,G9'], { timeoutMs: 200_000 });
    expect(code).toBe(0);
    expect(out).toMatch(/✓ G1 +held/);
    expect(out).not.toContain('G4');
    expect(await sandboxes()).toMatchObject([{ name: 'kept', state: 'running' }]);
    await home.casemate(['destroy', 'kept', '--confirm', 'kept']);
  });

  it('comes before the command of `run --prove`, which starts only then', async () => {
    const { code, out, err } = await home.casemate(['run', '--prove', '--', 'echo', 'started'], { timeoutMs: 200_000 });
    expect([code, out]).toEqual([0, 'started\n']);
    expect(err).toMatch(/proved in \d+ ms: \d+ guarantees held/);
    const query = await home.casemate(['journal', 'query', '--limit', '500', '--json']);
    const actions = query.out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { action: string; subject: string });
    expect(actions.some(({ action, subject }) => action === 'proof.verdict' && subject !== 'policy')).toBe(true);
  });

  it('leaves nothing running when it is killed in the middle, and the next one removes its folder', async () => {
    const before = await proofFolders();
    const child = spawn(process.execPath, [entry, 'prove', '--only', 'G10'], {
      cwd: home.project,
      env: home.env,
      stdio: 'ignore',
    });
    await until(async () => (await daemonsOf(await proofFolders())).length > 0);
    const made = (await proofFolders()).filter((name) => !before.includes(name));
    child.kill('SIGKILL');
    await until(async () => (await daemonsOf(made)).length === 0);
    await until(async () => (await sandboxes()).length === 0);
    expect(await proofFolders()).toEqual(expect.arrayContaining(made));
    expect((await home.casemate(['prove', '--only', 'kernel.namespaces'], { timeoutMs: 200_000 })).code).toBe(0);
    expect((await proofFolders()).filter((name) => made.includes(name))).toEqual([]);
  });

  it('is recorded as broken off by nobody: wrong input is told in one line and attacks nothing', async () => {
    for (const [args, said] of [
      [['prove', 'nobody'], 'no sandbox is named "nobody"'],
      [['prove', '--profile', 'some'], 'there is no profile "some"'],
      [['prove', '--only', 'G1,G99'], 'neither a guarantee nor a probe "G99"'],
      [['prove', '--verify', '/nonexistent'], 'cannot read /nonexistent'],
      [['prove', '--policy', '/nonexistent.yaml', '--profile', 'quick'], 'there is no such file'],
      [['prove', '--runtime', 'none', '--profile', 'quick'], 'none'],
    ] as const) {
      const { code, err } = await home.casemate(args);
      expect([code, err]).toEqual([2, expect.stringContaining(said)]);
    }
    await until(async () => (await sandboxes()).length === 0);
  });
});
