/** The comparison with other sandboxes: the page says what the raw file says, and the raw file is one that can be believed. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { comparisonPage } from '../../../scripts/comparison-page.ts';
import { controlsOf, type Comparison } from '../../../scripts/compare/comparison.ts';
import { contenders } from '../../../scripts/compare/contenders.ts';
import { hidePaths } from '../../../scripts/compare/hide-paths.ts';
import { commandTemplate } from '../../../src/proof/foreign/command-template.ts';
import { judge } from '../../../src/proof/finding.ts';
import { chooseProbes } from '../../../src/proof/probes.ts';

const raw = readFileSync(join(import.meta.dirname, '../../../docs/comparison.json'), 'utf8');
const comparison: Comparison = JSON.parse(raw);
const measured = comparison.contenders.filter(({ missing }) => missing === undefined);
const known = Object.keys(chooseProbes({ profile: 'full', foreign: true }));

/** The page of a comparison in which one verdict is another. */
function pageWith(name: string, probe: string, verdict: 'held' | 'broken'): string {
  return comparisonPage({
    ...comparison,
    contenders: comparison.contenders.map((one) => ({
      ...one,
      findings: one.findings.map((finding) =>
        one.name === name && finding.probe === probe ? { ...finding, verdict, why: 'changed for this test' } : finding,
      ),
    })),
  });
}

describe('the raw file', () => {
  test('has every contender, each with what it said of itself', () => {
    expect(comparison.contenders.map(({ name }) => name)).toEqual(contenders.map(({ name }) => name));
    expect(measured.length).toBeGreaterThan(4);
    expect(measured.filter(({ version }) => !/\d+\.\d+/.test(version))).toEqual([]);
  });

  test.each(measured)('$name: the controls worked, and every verdict follows from its rows', (one) => {
    const { worked, all } = controlsOf(one);
    expect(all).toBeGreaterThan(20);
    expect(worked).toBe(all);
    const judged = one.findings.filter(({ rows }) => rows.length > 0);
    expect(judged.map(({ rows }) => judge({ rows }).verdict)).toEqual(judged.map(({ verdict }) => verdict));
    expect(one.findings.map(({ probe }) => probe)).toEqual(measured[0]?.findings.map(({ probe }) => probe));
  });

  test('holds no folder of the machine it was made on, nor a secret that was planted', () => {
    expect(raw).not.toMatch(/casemate-proof-|casemate-canary-[0-9a-f]|\/work\/|\/home\/casemate-test/);
  });
});

describe('the page', () => {
  test('changes with a verdict of the raw file', () => {
    const page = comparisonPage(comparison);
    expect(pageWith('casemate', 'around.reach', 'broken')).not.toBe(page);
    expect(pageWith('casemate', 'around.reach', 'broken')).toContain('- `around.reach`: changed for this test');
    expect(pageWith('bwrap', 'around.terminal', 'held')).not.toContain('- `around.terminal`: type into it');
  });

  test('names what was not measured, and why', () => {
    const [first, ...rest] = comparison.contenders;
    const gone = {
      name: 'srt',
      version: 'none',
      command: 'srt',
      user: 'root',
      missing: 'srt is not there',
      findings: [],
    } as const;
    const page = comparisonPage({ ...comparison, contenders: first === undefined ? rest : [first, gone] });
    expect(page).toContain('Not measured on this machine: `srt` (srt is not there).');
  });

  test('tells what got through that a maker promises apart from what it does not', () => {
    expect(pageWith('srt', 'around.reach', 'broken')).toMatch(/`around\.reach`.*\| \*\*broken\*\* \|/);
    expect(pageWith('docker', 'around.reach', 'broken')).toMatch(/`around\.reach`.*\| \*\*broken°\*\* \|/);
  });
});

test.each(contenders)('$name has one place for the probe, and names probes that exist', ({ words, notPromised }) => {
  expect(() => commandTemplate(words)).not.toThrow();
  expect(
    Object.values(notPromised)
      .flat()
      .filter((id) => !known.includes(id)),
  ).toEqual([]);
});

test('folders of the run and addresses of the host have other names in what is kept', () => {
  const row = {
    kind: 'attack',
    what: 'tcp 10.9.8.7',
    expected: 'x',
    seen: '/tmp/p/home/project/a /tmp/p/home/b n0nce',
    from: 'outside',
  } as const;
  const watch = {
    folders: { home: '/tmp/p/home', work: '/tmp/p/home/project' },
    canaries: { nonce: 'n0nce' },
    sink: { addresses: [{ address: '127.0.0.1' }, { address: '10.9.8.7' }] },
  };
  const finding = { probe: 'around.reach', verdict: 'broken', why: 'tcp 10.9.8.7', rows: [row], ms: 1 } as const;
  const [hidden] = hidePaths([finding], watch, { user: { home: '/home/somebody' } });
  expect(hidden).toEqual({
    ...finding,
    why: 'tcp host address 1',
    rows: [{ ...row, what: 'tcp host address 1', seen: '/home/person/project/a /home/person/b NONCE' }],
  });
});
