import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { makeHome, wholeWayLacks, type Home } from '../helpers/cli.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

describe.skipIf(!engineOrSkip('oci', await wholeWayLacks(['base', 'claude'])))('the tour', () => {
  let home: Home;

  beforeAll(async () => {
    home = await makeHome();
  });

  afterAll(async () => {
    await home.remove();
  });

  it('ends with the sample mended by the real agent, the key found nowhere inside and the journal verified', async () => {
    const { code, out, err } = await home.casemate(['tour', '--stand-in', '--json'], {
      timeoutMs: 240_000,
      env: { ANTHROPIC_API_KEY: 'sk-ant-must-not-be-used' },
    });
    expect({ code, err: code === 0 ? '' : err }).toEqual({ code: 0, err: '' });
    const findings = JSON.parse(out);
    expect(findings).toMatchObject({
      testsAfter: 0,
      changed: ['src/opening-hours.js'],
      keyOnTheWire: true,
      journal: { valid: true },
    });
    expect(findings.testsBefore).not.toBe(0);
    expect(findings.refused.join()).toContain('example.org');
    expect(findings.search.keySeen).toEqual([]);
    // The positive control of the search: what is inside is found.
    expect(findings.search.phantomSeen).toBeGreaterThan(0);
    expect(findings.search.mebibytes).toBeGreaterThan(50);
  }, 300_000);

  it('leaves no sandbox behind', async () => {
    await expect.poll(async () => JSON.parse((await home.casemate(['ls', '--json'])).out), { timeout: 30_000 }).toEqual([]);
  });
});
