import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';

import { attest, attestationFault } from '../../../src/journal/attest.ts';
import { keyIdOf } from '../../../src/journal/journal-keys.ts';
import { attack, control, judge, type Finding } from '../../../src/proof/finding.ts';
import { proofHtml } from '../../../src/proof/html.ts';
import { verdictsOf } from '../../../src/proof/prove.ts';
import { probes } from '../../../src/proof/probes.ts';
import { readReport } from '../../../src/proof/read-report.ts';
import {
  agrees,
  outcomeOf,
  overall,
  reportFault,
  statementText,
  type Report,
  type Statement,
} from '../../../src/proof/statement.ts';

const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const keys = { signing: privateKey, publicKey, keyId: keyIdOf(publicKey), credentialHash: () => '' };

function finding(probe: string, seen: string): Finding {
  const rows = [
    attack('try', { expected: 'no', seen, ok: seen === 'no' }),
    control('legal', { expected: 'yes', seen: 'yes', ok: true, from: 'outside' }),
  ];
  return { probe, ...judge({ rows }), rows, ms: 1 };
}

function reportOf(seen: string): Report {
  const findings = [finding('kernel.namespaces', seen), finding('network.no-route', 'no')];
  const verdicts = verdictsOf(probes, findings);
  const statement: Statement = {
    version: 1,
    kind: 'casemate proof',
    time: '2026-01-01T00:00:00.000Z',
    casemate: '0.1.0',
    target: { name: 'work' },
    policyHash: 'a',
    planHash: 'b',
    image: { recipe: 'base', digest: 'sha256:1' },
    engine: 'oci',
    runtime: 'runc',
    runtimeVersion: 'runc 1',
    kernel: '6',
    architecture: 'x64',
    waived: [],
    ...outcomeOf({ findings, verdicts }, { profile: 'quick' }),
  };
  return { statement, attestation: attest('proof', statementText(statement), keys), verdicts, findings };
}

describe('a signed report', () => {
  it('holds as it was made, also after it was written and read', () => {
    const report = reportOf('no');
    expect(reportFault(report)).toBeUndefined();
    expect(agrees(report)).toBe(true);
    expect(overall(report.statement.verdicts)).toBe('held');
    const read = readReport(JSON.parse(JSON.stringify(report)));
    expect('report' in read && reportFault(read.report)).toBe(undefined);
  });

  it('does not hold with another verdict, another observation or another key', () => {
    const report = reportOf('yes');
    const { statement, attestation } = report;
    expect(overall(statement.verdicts)).toBe('broken');
    expect(reportFault({ ...report, statement: { ...statement, verdicts: { G1: 'held' } } })).toBe('the signature is wrong');
    expect(reportFault({ ...report, findings: reportOf('no').findings })).toBe('what was seen differs from what was signed');
    const painted = report.verdicts.map((row) => ({ ...row, verdict: 'held' as const }));
    expect(reportFault({ ...report, verdicts: painted })).toBe('the verdicts differ from those that were signed');
    expect(reportFault({ ...report, attestation: { ...attestation, key: '0'.repeat(16) } })).toContain('the public key is');
    expect(reportFault({ ...report, attestation: { ...attestation, publicKey: 'no key' } })).toBe(
      'the public key is no Ed25519 key',
    );
  });

  it('of one kind does not pass for another', () => {
    const signed = attest('proof', 'text', keys);
    expect(attestationFault('proof', 'text', signed)).toBeUndefined();
    expect(attestationFault('proof', 'text ', signed)).toBe('the signature is wrong');
    expect(attestationFault('other' as 'proof', 'text', signed)).toBe('the signature is wrong');
  });

  it.each([
    [undefined, ''],
    [{}, 'statement'],
    [{ ...reportOf('no'), more: 1 }, ''],
    [{ ...reportOf('no'), findings: [{ probe: 'x' }] }, 'findings.0'],
  ])('of another form is refused', (value, where) => {
    const read = readReport(value);
    expect('fault' in read && read.fault).toContain(where);
  });
});

describe('the report for a person', () => {
  it('shows markup and control characters as text, and loads nothing', () => {
    const hostile = `<script>alert(1)</script>\u001B]52;c;eA==\u0007\u202E"'&`;
    const html = proofHtml(reportOf(hostile));
    expect(html).not.toContain('<script');
    expect(html).toContain('&lt;script&gt;');
    expect(html).not.toMatch(/[\u0000-\u0009\u000B-\u001F\u007F-\u009F\u202A-\u202E]/);
    expect(html).toContain("default-src 'none'");
    expect(html.replaceAll(/content="[^"]*"/g, '')).not.toMatch(/\b(?:src|href)=/);
  });
});
