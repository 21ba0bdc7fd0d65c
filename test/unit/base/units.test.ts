import { describe, expect, it } from 'vitest';

import { formatBytes, formatDuration, parseBytes, parseDurationMs } from '../../../src/base/units.ts';

describe('sizes and times', () => {
  it.each([
    ['2GiB', 2 * 1024 ** 3],
    ['512m', 512 * 1024 ** 2],
    ['1.5 kb', 1500],
    [4096, 4096],
  ])('reads %s', (written, bytes) => {
    expect(parseBytes(written)).toBe(bytes);
  });

  it.each(['', '-1', '0', '2 gigs', '1e9', 'NaN', '9999999TiB'])('refuses the size %j', (written) => {
    expect(parseBytes(written)).toBeUndefined();
  });

  it.each([
    ['90s', 90_000],
    ['2h', 7_200_000],
    ['250ms', 250],
  ])('reads %s', (written, ms) => {
    expect(parseDurationMs(written)).toBe(ms);
  });

  it.each(['10', '', '5 fortnights', '-3s'])('refuses the time %j: it has no unit or no sense', (written) => {
    expect(parseDurationMs(written)).toBeUndefined();
  });

  it('writes them as people read them', () => {
    expect([formatBytes(1536), formatBytes(4 * 1024 ** 3), formatDuration(90_000), formatDuration(12)]).toEqual([
      '1.5 KiB',
      '4 GiB',
      '1 min 30 s',
      '12 ms',
    ]);
  });
});
