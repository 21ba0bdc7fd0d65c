/** `casemate prove` of an ordinary user's sandbox: what this host cannot give there is waived, and all else holds. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { Report } from '../../src/proof/statement.ts';
import { makeHome, type Home } from '../helpers/cli.ts';
import { ociLacks } from '../helpers/oci-lab.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

const hasGvisor = engineOrSkip('runsc', await ociLacks('runsc'));

describe.skipIf(process.geteuid?.() === 0)('casemate prove by an ordinary user', () => {
  let home: Home;
  let waivers: readonly string[];

  beforeAll(async () => {
    home = await makeHome();
    const checks: readonly { check: string; verdict: string }[] = JSON.parse(
      (await home.casemate(['doctor', '--layers', '--json'])).out,
    );
    waivers = checks.filter(({ verdict }) => verdict === 'missing').flatMap(({ check }) => ['--waive', check]);
  });
  afterAll(async () => {
    await home.remove();
  });

  async function prove(options: readonly string[]): Promise<Report> {
    const { code, out, err } = await home.casemate(['prove', ...options, ...waivers, '--json'], { timeoutMs: 230_000 });
    expect([code, err]).toEqual([0, expect.not.stringContaining('✗')]);
    return JSON.parse(out) as Report;
  }

  const few = 'specification.golden,specification.runtime,left.files,around.limits';

  it('holds with the default runtime, in a lab, too', { timeout: 480_000 }, async () => {
    const quick = await prove(['--profile', 'quick']);
    expect(quick.findings.filter(({ verdict }) => verdict !== 'held' && verdict !== 'not-applicable')).toEqual([]);
    const full = await prove(['--only', few]);
    expect(full.findings.map(({ verdict }) => verdict)).toEqual(['held', 'held', 'held', 'held']);
  });

  it.skipIf(!hasGvisor)('holds with gVisor, in a lab, too', { timeout: 480_000 }, async () => {
    const quick = await prove(['--runtime', 'runsc', '--profile', 'quick']);
    expect(quick.findings.filter(({ verdict }) => verdict !== 'held')).toEqual([]);
    const full = await prove(['--runtime', 'runsc', '--only', few]);
    expect(full.findings.map(({ verdict }) => verdict)).toEqual(['held', 'held', 'held', 'held']);
  });
});
