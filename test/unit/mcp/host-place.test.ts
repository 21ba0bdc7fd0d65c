import { expect, test } from 'vitest';

import { refuseTarget } from '../../../src/mcp/host-place.ts';

/** What programs of the host act on is not written by a transfer, however its name is spelt. */

const bounds = { roots: ['/w'], programFolders: [] } as unknown as Parameters<typeof refuseTarget>[1];
const written = (path: string): boolean => {
  try {
    refuseTarget(path, bounds);
    return true;
  } catch {
    return false;
  }
};

test.each([
  '/w/.git/hooks/x',
  '/w/.GIT/config',
  '/w/.g\u200cit/config',
  '/w/.v\u017fcode/tasks.json',
  '/w/.git./config',
  '/w/.git /config',
  '/w/GIT~1/config',
  '/w/a/.envrc..',
  '/w/\uff0egit/config',
])('%j is refused', (path) => {
  expect(written(path)).toBe(false);
});

test.each(['/w/git/config', '/w/a.git', '/w/.gitignore', '/w/...', '/w/git~2/x', '/w/vscode/tasks.json'])(
  '%j is written',
  (path) => {
    expect(written(path)).toBe(true);
  },
);
