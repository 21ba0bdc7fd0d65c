/** Folders of a home that no sandbox is shown and no transfer writes to. */
import { expect, test } from 'vitest';

import { placeRefusal } from '../../../src/sandbox/project/workspace-path.ts';

const paths = { config: '/c', state: '/s', images: '/i', cache: '/k', runtime: '/r', organisation: '/o' };

test.each(['.ssh', '.password-store', '.mozilla', '.thunderbird', '.config', '.claude'])(
  '~/%s is refused with all in it',
  (name) => {
    for (const place of [name, `${name}/work`]) {
      expect(placeRefusal(`/home/me/${place}`, { paths, userHome: '/home/me' })).toBe(`it lies in ~/${name}`);
    }
  },
);

test('a folder that only begins like one of them is a project like any other', () => {
  expect(placeRefusal('/home/me/.sshx', { paths, userHome: '/home/me' })).toBeUndefined();
});
