import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { groupOfAll, leaveTogether, limitTogether, settingsOf, usedTogether } from '../../../src/engines/oci/together.ts';

const limits = { memoryBytes: 10_000_000, cpus: 1.5, pids: 300 };
const controllers = ['memory', 'cpu', 'pids'];
const owner = 'own-0123456789abcdef';

/** Plain files take whatever is written, as the kernel's do where it agrees. */
describe('limits of all sandboxes together', () => {
  let root: string;

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'together-'));
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  const text = (...path: readonly string[]): string => readFileSync(join(root, ...path), 'utf8');

  it('are written where each controller has its own hierarchy', async () => {
    const place = { layout: 'separate', controllers, root } as const;
    await limitTogether(owner, limits, place);
    expect(text('memory/casemate', owner, 'memory.limit_in_bytes')).toBe('9998336');
    expect(text('cpu/casemate', owner, 'cpu.cfs_quota_us')).toBe('150000');
    expect(text('pids/casemate', owner, 'pids.max')).toBe('300');
    writeFileSync(join(root, 'memory/casemate', owner, 'memory.usage_in_bytes'), '4096\n');
    expect(usedTogether(owner, place)).toEqual({
      memoryBytes: 4096,
      memoryLimitBytes: 9_998_336,
      pids: undefined,
      pidsLimit: 300,
    });
  });

  it('are written in one hierarchy, where each level passes the controllers on', async () => {
    await limitTogether(owner, limits, { layout: 'unified', controllers, root });
    expect(text('casemate', owner, 'memory.max')).toBe('9998336');
    expect(text('casemate', owner, 'cpu.max')).toBe('150000 100000');
    for (const level of ['.', 'casemate', join('casemate', owner)]) {
      expect(text(level, 'cgroup.subtree_control')).toBe('+memory +cpu +pids');
    }
  });

  it('leave the processors alone where none are named, and what the host cannot limit', () => {
    const files = (layout: 'unified' | 'separate') => settingsOf({ ...limits, cpus: undefined }, layout);
    expect(files('unified').find(({ file }) => file === 'cpu.max')?.text).toBe('max 100000');
    expect(files('separate').find(({ file }) => file === 'cpu.cfs_quota_us')?.text).toBe('-1');
  });

  it('are refused where the kernel keeps another value', async () => {
    const place = { layout: 'separate', controllers: ['pids'], root } as const;
    mkdirSync(join(root, 'pids/casemate', owner), { recursive: true });
    // A device takes what is written and keeps nothing.
    symlinkSync('/dev/null', join(root, 'pids/casemate', owner, 'pids.max'));
    await expect(limitTogether(owner, limits, place)).rejects.toMatchObject({ code: 'ENGINE_FAILED' });
  });

  it('have a place that no id leads out of', () => {
    for (const wrong of ['..', 'a/b', '', 'x'.repeat(65)]) {
      expect(() => groupOfAll(wrong)).toThrow(/not well formed/);
    }
  });

  it('go with the last sandbox, and stay while there is one', async () => {
    mkdirSync(join(root, 'pids/casemate', owner, 'cm-1'), { recursive: true });
    mkdirSync(join(root, 'memory/casemate', owner), { recursive: true });
    await leaveTogether(owner, root);
    expect(() => text('memory/casemate', owner)).toThrow(/ENOENT/);
    expect(() => text('pids/casemate', owner)).toThrow(/EISDIR/);
  });
});
