import { describe, expect, it } from 'vitest';

import { compareVersions, judgeGvisor, judgeRuntime, parseVersion } from '../../../src/engines/oci/runtime-floors.ts';

const judge = (name: 'runc' | 'crun' | 'runsc', version: string, debian?: string) =>
  judgeRuntime({ name, version, package: debian });

describe('the version floor of runtimes', () => {
  it.each([
    ['runc', '1.1.11', 'CVE-2024-21626'],
    ['runc', '1.1.12', 'CVE-2025-31133'],
    ['runc', '1.3.2', 'CVE-2025-52881'],
    ['runc', '1.4.0-rc.2', 'CVE-2025-52565'],
    ['runc', '1.3.3', 'CVE-2026-41579'],
    ['crun', '1.4.3', 'CVE-2022-27650'],
    ['crun', '1.20', 'CVE-2026-30892'],
  ] as const)('refuses %s %s and names %s', (name, version, flaw) => {
    expect(judge(name, version)).toMatchObject({ available: false, detail: expect.stringContaining(flaw) });
  });

  it.each([
    ['runc', '1.3.6'],
    ['runc', '1.4.3'],
    ['runc', '1.5.0'],
    ['runc', '2.0.0'],
    ['crun', '1.18'],
    ['crun', '1.27'],
  ] as const)('takes %s %s', (name, version) => {
    expect(judge(name, version)).toEqual({ available: true, detail: `${name} ${version}` });
  });

  it('takes a cared-for Debian package with its fixes, and says what it lacks and why that is out of reach', () => {
    const answer = judge('runc', '1.1.5', '1.1.5+ds1-1+deb12u1');
    expect(answer.available).toBe(true);
    expect(answer.detail).toMatch(/without CVE-2025-31133.*out of reach here: needs/);
    expect(answer.detail).not.toContain('CVE-2024-21626');
    expect(judge('runc', '1.1.5', '1.1.5+ds1-1+deb12u3').available).toBe(true);
  });

  it('refuses a package older than the fix, or of nobody who cares for it', () => {
    expect(judge('runc', '1.1.5', '1.1.5+ds1-1')).toMatchObject({ available: false });
    expect(judge('runc', '1.1.5', '1.1.5-0local1')).toMatchObject({ available: false });
    expect(judge('runc', '1.1.4', '1.1.4+ds1-1+deb12u9')).toMatchObject({ available: false });
  });
});

describe('version numbers', () => {
  it.each([
    ['runc version 1.1.5+ds1\ncommit: 1.1.5+ds1-1+deb12u1\n', '1.1.5'],
    ['runc version 1.4.0-rc.2', '1.4.0-rc.2'],
    ['crun version 1.8.1\ncommit: f8a096b', '1.8.1'],
    ['runsc version VERSION_MISSING\nspec: 1.0.2\n', '1.0.2'],
    ['nothing', undefined],
  ])('are found in %j', (text, version) => {
    expect(parseVersion(text)).toBe(version);
  });

  it('are ordered, a candidate before its release', () => {
    const versions = ['1.1.5', '1.1.12', '1.2', '1.4.0-rc.2', '1.4.0-rc.10', '1.4.0', '1.10.0'];
    expect(versions.toReversed().toSorted(compareVersions)).toEqual(versions);
  });
});

describe('gVisor', () => {
  it('is judged by the date of its release', () => {
    expect(judgeGvisor('runsc version 0.0~20220905.0\nspec: 1.0.2-dev')).toMatchObject({ available: false });
    expect(judgeGvisor('runsc version VERSION_MISSING')).toMatchObject({ available: false });
    expect(judgeGvisor('runsc version release-20250512.0')).toEqual({ available: true, detail: 'runsc 20250512' });
  });

  it('is accepted with flaws that no sandbox here can meet, which are named', () => {
    const { available, detail } = judgeGvisor('runsc version 0.0~20221219.0\nspec: 1.0.2-dev');
    expect([available, detail.match(/CVE-[\d-]+/g)]).toEqual([true, ['CVE-2023-7258', 'CVE-2025-2713']]);
    expect(judgeGvisor('runsc version release-20240722.0').detail).not.toContain('CVE-2023-7258');
  });
});
