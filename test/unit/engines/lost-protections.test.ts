import { describe, expect, it } from 'vitest';

import { lostProtections, parseMounts, showsImage } from '../../../src/engines/workspace/protections.ts';

describe('protections that are gone', () => {
  const mountinfo =
    '30 29 0:1 / / ro - ext4 /dev/x ro\n31 30 0:1 /w /workspace rw - ext4 /dev/x rw\n' +
    '32 31 0:1 /w/.git /workspace/.git rw - ext4 /dev/x rw\n33 32 0:1 /w/a\\040b /workspace/a\\040b ro - ext4 /dev/x rw\n';

  it('are those without a mount of their own', () => {
    expect(lostProtections(parseMounts(mountinfo), ['.git', 'a b'])).toEqual([]);
    expect(lostProtections(parseMounts(mountinfo), ['.git', '.git/config'])).toEqual(['.git/config']);
  });
});

describe('a place of a sandbox that shows the image', () => {
  const image = '30 29 0:1 /img / ro - ext4 /dev/x ro\n31 30 0:1 /img/workspace /workspace ro - ext4 /dev/x rw\n';

  it('is one where nothing but the image is mounted', () => {
    expect(showsImage(parseMounts(image), '/workspace')).toBe(true);
    expect(showsImage(parseMounts(`${image}32 31 0:1 /w /workspace rw - ext4 /dev/x rw\n`), '/workspace')).toBe(false);
    expect(showsImage(parseMounts(`${image}32 31 0:2 /img/workspace /workspace rw - ext4 /dev/y rw\n`), '/workspace')).toBe(
      false,
    );
  });

  it('cannot be told where the image leads elsewhere', () => {
    expect(showsImage(parseMounts(image), '/etc/resolv.conf')).toBe(false);
  });
});
