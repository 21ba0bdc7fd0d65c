import { describe, expect, it } from 'vitest';

import { placesIn } from '../../../src/engines/oci/nested-paths.ts';
import { lostProtections } from '../../../src/engines/oci/protections.ts';

describe('places that git settings name', () => {
  it.each([
    ['[core]\n\thooksPath = .githooks\n', ['.githooks']],
    ['[core]\n\thookspath = "./tools/hooks/"\n', ['tools/hooks']],
    ['[include]\n\tpath = ../.gitconfig\n', ['.gitconfig']],
    ['[include]\n\tpath = extra.conf\n', ['.git/extra.conf']],
    ['[core]\n\thooksPath = /usr/share/hooks\n[include]\n\tpath = ~/.gitconfig\n\tpath = ../../outside\n', []],
    ['[core]\n\thooksPath = .\n', []],
    ['[remote "x"]\n\turl = path = y\n', []],
  ])('are found in %j', (config, places) => {
    expect(placesIn(config)).toEqual(places);
  });
});

describe('protections that are gone', () => {
  const mountinfo =
    '30 29 0:1 / / ro - ext4 /dev/x ro\n31 30 0:1 /w /workspace rw - ext4 /dev/x rw\n' +
    '32 31 0:1 /w/.git /workspace/.git rw - ext4 /dev/x rw\n33 32 0:1 /w/a\\040b /workspace/a\\040b ro - ext4 /dev/x rw\n';

  it('are those without a mount of their own', () => {
    expect(lostProtections(mountinfo, ['.git', 'a b'])).toEqual([]);
    expect(lostProtections(mountinfo, ['.git', '.git/config'])).toEqual(['.git/config']);
  });
});
