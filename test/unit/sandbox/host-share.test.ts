import { describe, expect, it } from 'vitest';

import { resolveShare } from '../../../src/policy/layers/resolve-share.ts';
import { defaultLimits } from '../../../src/policy/layers/resolve-scalars.ts';
import { hostSize, limitsWithin, shareOf } from '../../../src/sandbox/host/host-share.ts';
import { layer, resolveTexts, thrownBy } from '../policy/samples.ts';

const GiB = 1024 ** 3;
const host = { memoryBytes: 10 * GiB, cpus: 8, threads: 60_000 };

describe('what all sandboxes together may take', () => {
  it('is a part of the host where no policy says otherwise', () => {
    expect(shareOf(resolveShare({}), host)).toEqual({
      ready: 2,
      running: 128,
      memoryBytes: 8 * GiB,
      cpus: 7.2,
      pids: 30_000,
      callers: 30,
      eachCaller: 10,
    });
    expect(shareOf(resolveShare({}), { ...host, cpus: 2, memoryBytes: 10 ** 15 })).toMatchObject({
      cpus: undefined,
      running: 500,
    });
  });

  it('is what the organisation says, and the user less', () => {
    const organisation = layer('organisation', 'share: { running: 8, memory: 4GiB }');
    const user = layer('user', 'share: { running: 2, cpus: 1.5, pids: 100, ready: 0 }');
    expect(shareOf(resolveShare({ organisation, user }), host)).toMatchObject({
      running: 2,
      memoryBytes: 4 * GiB,
      cpus: 1.5,
      pids: 100,
      ready: 0,
    });
    expect(resolveShare({ organisation, user }).origins['share.memory']).toMatchObject({ layer: 'organisation' });
  });

  it.each(['running: 9', 'memory: 5GiB', 'callers: 4', 'ready: 3'])('is never more than the organisation says: %s', (more) => {
    const organisation = 'share: { running: 8, memory: 4GiB, callers: 3, ready: 1 }';
    expect(thrownBy(() => resolveTexts({ organisation, user: `share: { ${more} }` }))).toMatch(
      /^POLICY_WIDENS .*share\.\w+ .* is more than the .* that \/etc\/casemate/,
    );
  });

  it('is not for a project to say', () => {
    expect(thrownBy(() => resolveTexts({ project: 'share: { running: 9 }' }))).toMatch(
      /^POLICY_INVALID .*must not say what all sandboxes together may take/,
    );
  });

  it('bounds each of them', () => {
    const share = shareOf(resolveShare({}), { ...host, memoryBytes: 4 * GiB, threads: 600 });
    expect(limitsWithin(defaultLimits, { ...share, cpus: 1.5 })).toMatchObject({
      memoryBytes: Math.floor((4 * GiB) / 5) * 4,
      cpus: 1.5,
      pids: 300,
      diskBytes: defaultLimits.diskBytes,
    });
    expect(limitsWithin(defaultLimits, { ...share, cpus: undefined }).cpus).toBe(defaultLimits.cpus);
  });

  it('is reckoned from what this host has', async () => {
    const { memoryBytes, cpus, threads } = hostSize();
    expect(Math.min(memoryBytes, cpus, threads)).toBeGreaterThan(0);
  });
});
