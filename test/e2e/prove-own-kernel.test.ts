/** `casemate prove` of a sandbox on gVisor's kernel: it holds, and what this host sees decides. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { Report } from '../../src/proof/statement.ts';
import { makeHome, wholeWayLacks, type Home } from '../helpers/cli.ts';
import { ociLacks } from '../helpers/oci-lab.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

const lacking = (await wholeWayLacks()) ?? (await ociLacks('runsc'));

describe.skipIf(!engineOrSkip('runsc', lacking))('casemate prove --runtime runsc', { timeout: 240_000 }, () => {
  let home: Home;

  beforeAll(async () => {
    home = await makeHome();
  });
  afterAll(async () => {
    await home.remove();
  });

  const unheld = ({ findings }: Report): readonly string[] =>
    findings.filter(({ verdict }) => verdict !== 'held').map(({ probe, verdict, why }) => `${probe}: ${verdict}: ${why ?? ''}`);

  it('holds by the quick probes, and programs are found to be no processes of this host', async () => {
    const { code, out, err } = await home.casemate(['prove', '--runtime', 'runsc', '--profile', 'quick', '--json'], {
      timeoutMs: 230_000,
    });
    expect([code, err]).toEqual([0, '']);
    const report: Report = JSON.parse(out);
    expect(unheld(report)).toEqual([]);
    expect(report.statement).toMatchObject({ runtime: 'runsc', waived: [] });
    const rows = report.findings.find(({ probe }) => probe === 'kernel.own-kernel')?.rows ?? [];
    expect(rows.filter(({ kind, from, ok }) => kind === 'attack' && from === 'outside' && ok === true)).toHaveLength(2);
  });

  it('holds by what a lab shows of its specification, its runtime and what root inside leaves', async () => {
    const probes = 'specification.golden,specification.runtime,left.files';
    const { code, out } = await home.casemate(['prove', '--runtime', 'runsc', '--only', probes, '--json'], {
      timeoutMs: 230_000,
    });
    const report: Report = JSON.parse(out);
    expect([code, unheld(report)]).toEqual([0, []]);
    expect(report.findings).toHaveLength(3);
  });

  it('is ticked by `inspect`', async () => {
    await home.casemate(['create', 'box', '--runtime', 'runsc']);
    await home.casemate(['start', 'box']);
    const { out } = await home.casemate(['inspect', 'box', '--json']);
    const { seen }: { seen: readonly { probe: string; rows: readonly { ok?: boolean; what: string; seen: string }[] }[] } =
      JSON.parse(out);
    const odd = seen.flatMap(({ rows }) => rows.filter(({ ok }) => ok !== true).map(({ what, seen: saw }) => `${what}: ${saw}`));
    expect(odd).toEqual([]);
    expect(seen.map(({ probe }) => probe)).toContain('kernel.own-kernel');
    await home.casemate(['destroy', 'box', '--confirm', 'box']);
  });
});
