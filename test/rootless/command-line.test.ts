import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { makeHome, oddRows, type Home } from '../helpers/cli.ts';

/** The whole way as an ordinary user: what this host cannot give there must be waived by name, and nothing else changes. */
describe.skipIf(process.geteuid?.() === 0)('the command line of an ordinary user', () => {
  let home: Home;
  let waivers: readonly string[];

  beforeAll(async () => {
    home = await makeHome();
    const checks: readonly { check: string; verdict: string }[] = JSON.parse(
      (await home.casemate(['doctor', '--layers', '--json'])).out,
    );
    const missing = checks.filter((row) => row.verdict === 'missing').map((row) => row.check);
    waivers = missing.flatMap((layer) => ['--waive', layer]);
  });

  afterAll(async () => {
    await home.remove();
  });

  it('names each layer the host lacks, starts nothing, and starts once they are waived by name', async () => {
    const refused = await home.casemate(['run', '--', 'true']);
    if (waivers.length > 0) {
      expect(refused.code).toBe(125);
      for (const layer of waivers.filter((word) => word !== '--waive')) {
        expect(refused.err).toContain(layer);
      }
    }
    expect(await home.casemate(['run', ...waivers, '--', 'id', '-u'])).toMatchObject({ code: 0, out: '1000\n' });
    const { out } = await home.casemate(['journal', 'query', '--action', 'sandbox.start', '--json']);
    expect(waivers.length === 0 || out.includes('waived')).toBe(true);
  });

  it('leaves files that belong to the caller', async () => {
    await home.casemate(['run', ...waivers, '--', 'sh', '-c', 'echo x > mine; mkdir folder']);
    expect((await stat(join(home.project, 'mine'))).uid).toBe(process.geteuid?.());
    expect((await stat(join(home.project, 'folder'))).uid).toBe(process.geteuid?.());
  });

  it('keeps home and workspace over stop and start, explains denials, and has a journal that verifies', async () => {
    expect(await home.casemate(['create', 'work', ...waivers])).toMatchObject({ code: 0 });
    expect(await home.casemate(['start', 'work'])).toMatchObject({ code: 0 });
    await home.casemate(['exec', 'work', '--', 'sh', '-c', 'echo kept > ~/kept']);
    expect(await home.casemate(['stop', 'work'])).toMatchObject({ code: 0 });
    expect(await home.casemate(['start', 'work'])).toMatchObject({ code: 0 });
    const script = 'cat ~/kept; curl -sS -o /dev/null -w "%{http_code}" http://denied.example.com/';
    expect((await home.casemate(['exec', 'work', '--', 'sh', '-c', script])).out).toBe('kept\n403');
    const inspected = JSON.parse((await home.casemate(['inspect', 'work', '--json'])).out);
    expect(oddRows(inspected)).toEqual([]);
    expect(await home.casemate(['destroy', 'work', '--confirm', 'work'])).toMatchObject({ code: 0 });
    expect(await home.casemate(['journal', 'verify'])).toMatchObject({ code: 0 });
  });

  it('takes its sandboxes back after the daemon was killed', async () => {
    await home.casemate(['create', 'back', ...waivers]);
    await home.casemate(['start', 'back']);
    const { daemon } = JSON.parse((await home.casemate(['daemon', 'status', '--json'])).out);
    process.kill(daemon.pid, 'SIGKILL');
    expect(
      (
        await home.casemate([
          'exec',
          'back',
          '--',
          'sh',
          '-c',
          'curl -sS -o /dev/null -w "%{http_code}" http://denied.example.com/',
        ])
      ).out,
    ).toBe('403');
    await home.casemate(['destroy', 'back', '--confirm', 'back']);
  });
});
