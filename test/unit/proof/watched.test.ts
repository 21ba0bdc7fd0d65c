/** What a flood has cost the others: a slow peer, a dead daemon and a failed request are seen, a busy machine is not blamed. */
import { describe, expect, it } from 'vitest';

import { judge } from '../../../src/proof/finding.ts';
import { defaultLimits } from '../../../src/gateway/limits.ts';
import { floodBounds } from '../../../src/proof/exhaustion/floods.ts';
import { quantile, watchedRows, type Watched } from '../../../src/proof/exhaustion/watched.ts';

const fine: Watched = {
  quietMs: [10, 12, 11],
  load: 0.5,
  peerMs: Array.from({ length: 30 }, (_, nth) => 10 + nth),
  faults: [],
  daemon: { lives: true, grownBytes: 3_000_000, descriptors: 60 },
  listMs: 300,
};

function verdict(watched: Partial<Watched>, daemonBytes?: number): string {
  return judge({ rows: watchedRows({ ...fine, ...watched }, { daemonBytes }) }).verdict;
}

describe('what is watched while a sandbox is attacked from', () => {
  it('holds where the peer is served, the daemon lives and stays small', () => {
    expect(verdict({})).toBe('held');
    expect(watchedRows(fine).map(({ seen }) => seen)).toEqual([
      'p99 39 ms, p50 25 ms of 30',
      'p50 11 ms of 3, 0.5 programs for each processor',
      'the same process, +3 MiB, 60 descriptors',
      '300 ms',
    ]);
  });

  it.each<[string, Partial<Watched>, number?]>([
    ['one request takes more than a second', { peerMs: [...fine.peerMs, 1001] }],
    ['a request fails', { faults: ['ECONNRESET'] }],
    ['the daemon is another process', { daemon: { ...fine.daemon, lives: false } }],
    ['the daemon grows past its bound', { daemon: { ...fine.daemon, grownBytes: 200 * 1024 * 1024 } }],
    ['the command line has no answer', { listMs: undefined }],
  ])('is broken where %s', (_, watched, bytes) => {
    expect(verdict(watched, bytes)).toBe('broken');
  });

  it('decides nothing about time on a machine that was slow before', () => {
    expect(verdict({ quietMs: [400, 500, 600], peerMs: [2000] })).toBe('inconclusive');
    expect(verdict({ load: 4, peerMs: [2000] })).toBe('inconclusive');
    expect(verdict({ load: 4 })).toBe('held');
    expect(verdict({ quietMs: [400, 500, 600], daemon: { ...fine.daemon, lives: false } })).toBe('broken');
  });

  it('takes the slowest of few for the slowest of a hundred', () => {
    expect(quantile([5, 1, 3], 0.99)).toBe(5);
    expect(
      quantile(
        Array.from({ length: 1000 }, (_, nth) => nth),
        0.99,
      ),
    ).toBe(990);
  });
});

it('floods are measured by the limits that the gateway has', () => {
  expect(defaultLimits).toMatchObject(floodBounds);
});
