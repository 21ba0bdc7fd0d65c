import { describe, expect, it } from 'vitest';

import { planProtection, type Entry, type Look } from '../../../src/engines/workspace/protect.ts';

const looking =
  (entries: Readonly<Record<string, Entry>>): Look =>
  (path) =>
    entries[path] ?? 'absent';

const shown = (paths: readonly string[], entries: Readonly<Record<string, Entry>>) =>
  planProtection(paths, looking(entries)).map(
    ({ path, kind, writable, placeholder }) =>
      `${path} ${kind} ${writable ? 'pinned' : 'read-only'}${placeholder === undefined ? '' : ` (${placeholder})`}`,
  );

describe('what keeps protected paths in their place', () => {
  it('seals what is there and pins its parents, parents first', () => {
    const entries = { '.git': 'folder', '.git/hooks': 'folder', '.git/config': 'file', '.vscode': 'folder' } as const;
    expect(shown(['.git/hooks', '.git/config', '.vscode'], entries)).toEqual([
      '.git folder pinned',
      '.vscode folder read-only',
      '.git/config file read-only',
      '.git/hooks folder read-only',
    ]);
  });

  it('takes the name of a file that git would complain of by an empty one, of a hook by one that git passes over', () => {
    const names = ['.git/objects/info/alternates', 'pre-commit'];
    expect(shown(names, { '.git': 'folder', '.git/objects': 'folder', '.git/objects/info': 'folder' })).toEqual([
      '.git folder pinned',
      'pre-commit file read-only (socket)',
      '.git/objects folder pinned',
      '.git/objects/info folder pinned',
      '.git/objects/info/alternates file read-only (empty)',
    ]);
  });

  it('takes the name of what is not there', () => {
    expect(shown(['.vscode', '.mcp.json', '.envrc', 'casemate.yaml'], {})).toEqual([
      '.envrc file read-only (socket)',
      '.mcp.json file read-only (socket)',
      '.vscode folder read-only (folder)',
      'casemate.yaml file read-only (socket)',
    ]);
    expect(shown(['.git/config', '.git/config.worktree', '.git/commondir', '.git/modules'], { '.git': 'folder' })).toEqual([
      '.git folder pinned',
      '.git/commondir file read-only (commondir)',
      '.git/config file read-only (socket)',
      '.git/config.worktree file read-only (socket)',
      '.git/modules folder read-only (folder)',
    ]);
  });

  it('seals the whole of an absent parent', () => {
    expect(shown(['.git/hooks', '.git/config'], {})).toEqual(['.git folder read-only (folder)']);
  });

  it('seals a parent that is a file, as in a linked worktree', () => {
    expect(shown(['.git/hooks', '.git/config'], { '.git': 'file' })).toEqual(['.git file read-only']);
  });

  it('needs nothing below a sealed folder', () => {
    expect(shown(['.claude/settings.json', '.claude'], { '.claude': 'folder', '.claude/settings.json': 'file' })).toEqual([
      '.claude folder read-only',
    ]);
  });

  it('takes a socket for a placeholder that was left', () => {
    expect(shown(['.mcp.json'], { '.mcp.json': 'socket' })).toEqual(['.mcp.json file read-only (socket)']);
  });

  it.each([
    [{ '.git': 'link' }, '.git', 'is a symbolic link'],
    [{ '.git': 'folder', '.git/hooks': 'link' }, '.git/hooks', 'is a symbolic link'],
    [{ '.git': 'other' }, '.git', 'is neither a file nor a folder'],
  ] as const)('refuses by name what it cannot protect: %j', (entries, name, why) => {
    expect(() => planProtection(['.git/hooks'], looking(entries))).toThrow(
      expect.objectContaining({
        code: 'PATH_INVALID',
        message: expect.stringContaining(`${name} ${why}`),
      }),
    );
  });
});
