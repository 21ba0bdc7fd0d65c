import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { decideContent, decideRequest } from '../../../src/policy/judging/decide.ts';
import { areFunctionsWithin } from '../../../src/policy/layers/cover-functions.ts';
import type { Functions } from '../../../src/policy/judging/functions.ts';
import { readGitRequest } from '../../../src/policy/judging/git-request.ts';
import type { GitAllowance } from '../../../src/policy/policy.ts';
import { isRefName, readRef, readRepository } from '../../../src/policy/written/read-git.ts';
import { rule } from '../../helpers/network-rule.ts';

const push = (
  repository: string,
  refs: readonly string[],
  changes: GitAllowance['changes'] = ['create', 'update'],
): GitAllowance => ({
  repository,
  push: refs,
  changes,
});

describe('what a request asks of a git server', () => {
  test.each([
    ['GET /o/r.git/info/refs?service=git-upload-pack', 'read'],
    ['GET /o/r/info/refs?service=git-upload-pack', 'read'],
    ['GET /o/r/info/refs', 'read'],
    ['POST /o/r.git/git-upload-pack', 'read'],
    ['GET /o/r/HEAD', 'read'],
    ['GET /o/r/objects/ab/cdefabcdefabcdefabcdefabcdefabcdefabcd', 'read'],
    ['GET /o/r/objects/info/packs', 'read'],
    ['GET /o/r/info/refs?service=git-receive-pack', 'push-discovery'],
    ['POST /o/r.git/git-receive-pack', 'push'],
    ['POST /o/r.git/info/lfs/objects/batch', 'lfs-batch'],
    ['GET /o/r.git/info/lfs/locks', 'read'],
    ['POST /o/r.git/info/lfs/locks', 'lfs-write'],
    ['PUT /o/r/info/lfs/objects/x', 'lfs-write'],
  ])('%s is %s', (line, kind) => {
    const [method = '', path = ''] = line.split(' ');
    expect(readGitRequest({ method, path })).toEqual({ repository: 'o/r', kind });
  });

  test.each([
    'GET /o/r/info/refs?service=git%2dreceive-pack',
    'GET /o/r/info/refs?service=git-upload-pack&service=git-receive-pack',
    'POST /o/r/info/refs?service=git-receive-pack',
    'PUT /o/r/git-receive-pack',
    'POST /o/r/git-receive-pack?x',
    'POST /o/r/git-receive-pack/',
    'POST /o/r/GIT-receive-pack',
    'POST /o/r/git%2Dreceive-pack;x',
    'POST /o//r/git-receive-pack',
    'POST /o/r%2fgit-receive-pack',
    'POST /o/../r/git-receive-pack',
    'POST /o/r/%2567it-receive-pack',
    'POST /o/r//info/lfs/objects/batch',
    'PUT /o/r/info/lfs',
  ])('%s is not clear', (line) => {
    const [method = '', path = ''] = line.split(' ');
    expect(readGitRequest({ method, path })).toMatchObject({ kind: 'unclear' });
  });

  test.each(['GET /o/r', 'POST /o/r/issues', 'GET /o/r/blob/main/HEAD.md'])('%s is nothing of git', (line) => {
    const [method = '', path = ''] = line.split(' ');
    expect(readGitRequest({ method, path })).toBeUndefined();
  });
});

describe('a rule about git', () => {
  const open = rule('git.example.com', {
    git: [push('team/open', ['refs/heads/agent/*']), push('team/read', [])],
    http: [{ methods: undefined, path: '/**' }],
  });
  const verdict = (line: string, one = open): string => {
    const [method = '', path = ''] = line.split(' ');
    const decision = decideRequest([one], { method, path });
    return decision.verdict === 'inspect' ? decision.content : decision.verdict;
  };

  test.each([
    ['POST /team/open.git/git-receive-pack', 'git-push'],
    ['GET /team/open.git/info/refs?service=git-receive-pack', 'allow'],
    ['POST /team/read.git/git-receive-pack', 'deny'],
    ['GET /team/read.git/info/refs?service=git-receive-pack', 'deny'],
    ['POST /other/x/git-receive-pack', 'deny'],
    ['POST /team/open/info/lfs/objects/batch', 'lfs-batch'],
    ['POST /team/read/info/lfs/locks', 'deny'],
    ['POST /team//open/git-receive-pack', 'deny'],
    ['POST /anything/else', 'allow'],
  ])('%s: %s, whatever its other functions say', (line, expected) => {
    expect(verdict(line)).toBe(expected);
  });

  test('alone allows no other function', () => {
    const alone = rule('git.example.com', { git: [push('team/open', [])] });
    expect(verdict('GET /team/open', alone)).toBe('deny');
    expect(verdict('POST /team/open/git-upload-pack', alone)).toBe('allow');
  });

  test('forges that do not tell case apart are matched so, others are not', () => {
    expect(verdict('POST /Team/OPEN/git-receive-pack')).toBe('deny');
    expect(
      verdict('POST /Team/OPEN.git/git-receive-pack', rule('github.com', { git: [push('team/Open', ['refs/heads/**'])] })),
    ).toBe('git-push');
  });

  test('judges every reference by the kind of its change', () => {
    const judge = (...updates: readonly [string, 'create' | 'update' | 'delete'][]): string =>
      decideContent([open], {
        kind: 'git-push',
        repository: 'team/open',
        updates: updates.map(([ref, change]) => ({ ref, change })),
      }).verdict;
    expect(judge(['refs/heads/agent/a', 'create'], ['refs/heads/agent/b', 'update'])).toBe('allow');
    expect(judge(['refs/heads/agent/a', 'delete'])).toBe('deny');
    expect(judge(['refs/heads/agent/a', 'create'], ['refs/heads/main', 'update'])).toBe('deny');
    expect(judge(['refs/heads/agent/a/b', 'create'])).toBe('deny');
    expect(judge(['refs/tags/agent/a', 'create'])).toBe('deny');
    expect(judge()).toBe('allow');
  });

  test.each([
    ['download', undefined, 'team/read', 'allow'],
    ['upload', undefined, 'team/read', 'deny'],
    ['upload', 'refs/heads/agent/x', 'team/open', 'allow'],
    ['upload', 'refs/heads/main', 'team/open', 'deny'],
    ['upload', undefined, 'team/open', 'allow'],
    ['download', undefined, 'other/x', 'deny'],
  ] as const)('large files: %s for %s of %s: %s', (operation, ref, repository, expected) => {
    expect(decideContent([open], { kind: 'lfs-batch', repository, operation, ref }).verdict).toBe(expected);
  });
});

describe('a rule about MCP', () => {
  const both = rule('mcp.example.com', {
    mcp: { path: '/mcp', tools: ['a'], methods: undefined },
    http: [{ methods: undefined, path: '/**' }],
  });
  test.each([
    ['POST', '/mcp', 'inspect'],
    ['POST', '/mcp?x=1', 'inspect'],
    ['GET', '/mcp', 'allow'],
    ['DELETE', '/mcp', 'allow'],
    ['PUT', '/mcp', 'deny'],
    ['POST', '/mcp/', 'deny'],
    ['POST', '/MCP', 'deny'],
    ['POST', '/mcp;x', 'deny'],
    ['POST', '//mcp', 'deny'],
    ['POST', '/other', 'allow'],
  ])('%s %s: %s', (method, path, expected) => {
    expect(decideRequest([both], { method, path }).verdict).toBe(expected);
  });
});

describe('reading', () => {
  test('a branch is a full name, a repository loses its ending', () => {
    expect(readRef('agent/*')).toEqual({ value: 'refs/heads/agent/*' });
    expect(readRef('refs/tags/v*')).toEqual({ value: 'refs/tags/v*' });
    expect(readRepository('/owner/name.git')).toEqual({ value: 'owner/name' });
    expect(readRepository('**')).toEqual({ value: '**' });
  });

  test.each(['', 'a b', 'a..b', '-\u0000', 'a/', '/a', 'a.lock', 'refs/', 'refs/x', 'a~1', 'a^'])('"%s" is no branch', (text) => {
    expect(readRef(text)).toHaveProperty('fault');
  });

  test.each(['', '../x', 'a//b', 'a b', 'https://x/y', 'a/./b', 'a?b'])('"%s" is no repository', (text) => {
    expect(readRepository(text)).toHaveProperty('fault');
  });

  test('a name with a control character, a space or two dots is never a reference', () => {
    fc.assert(
      fc.property(
        fc.string(),
        fc.constantFrom('\0', '\n', ' ', '..', '\u007f', '~', '^', ':', '*', '\\'),
        fc.string(),
        (a, bad, b) => {
          expect(isRefName(`refs/heads/${a}${bad}${b}`)).toBe(false);
        },
      ),
    );
  });
});

describe('functions within functions', () => {
  const get = { methods: ['GET'], path: '/**' };
  const post = { methods: ['POST'], path: '/**' };
  const rows: readonly (readonly [string, Functions, Functions, boolean])[] = [
    [
      'fewer references',
      { http: undefined, git: [push('o/r', ['refs/heads/a'])] },
      { http: undefined, git: [push('o/*', ['refs/heads/*'])] },
      true,
    ],
    [
      'more references',
      { http: undefined, git: [push('o/r', ['refs/heads/**'])] },
      { http: undefined, git: [push('o/*', ['refs/heads/*'])] },
      false,
    ],
    ['more repositories', { http: undefined, git: [push('**', [])] }, { http: undefined, git: [push('o/*', [])] }, false],
    [
      'more changes',
      { http: undefined, git: [push('o/r', ['refs/heads/a'], ['delete'])] },
      { http: undefined, git: [push('o/r', ['refs/heads/a'])] },
      false,
    ],
    [
      'push where only reading is',
      { http: undefined, git: [push('o/r', ['refs/heads/a'])] },
      { http: undefined, git: [push('**', [])] },
      false,
    ],
    ['git where everything is', { http: undefined, git: [push('**', ['refs/**'])] }, { http: undefined }, true],
    ['everything where git is', { http: undefined }, { http: undefined, git: [push('**', ['refs/**'])] }, false],
    ['paths without the guard of git', { http: [post] }, { http: [post], git: [] }, false],
    ['reading paths without the guard of git', { http: [get] }, { http: [get], git: [] }, true],
    ['paths with the guard', { http: [post], git: [] }, { http: [post], git: [push('**', [])] }, true],
    [
      'git under paths that allow it all',
      { http: undefined, git: [push('o/r', ['refs/**'])] },
      { http: [{ methods: undefined, path: '/o/**' }] },
      true,
    ],
    [
      'fewer tools',
      { http: undefined, mcp: { path: '/mcp', tools: ['a'], methods: undefined } },
      { http: undefined, mcp: { path: '/mcp', tools: ['a', 'b'], methods: undefined } },
      true,
    ],
    [
      'more tools',
      { http: undefined, mcp: { path: '/mcp', tools: undefined, methods: undefined } },
      { http: undefined, mcp: { path: '/mcp', tools: ['a'], methods: undefined } },
      false,
    ],
    [
      'more methods',
      { http: undefined, mcp: { path: '/mcp', tools: [], methods: ['resources/read'] } },
      { http: undefined, mcp: { path: '/mcp', tools: [], methods: undefined } },
      false,
    ],
    [
      'another endpoint',
      { http: undefined, mcp: { path: '/other', tools: [], methods: undefined } },
      { http: undefined, mcp: { path: '/mcp', tools: [], methods: undefined } },
      false,
    ],
    [
      'paths without the guard of mcp',
      { http: [post] },
      { http: [post], mcp: { path: '/mcp', tools: [], methods: undefined } },
      false,
    ],
    [
      'mcp under a path that allows it all',
      { http: undefined, mcp: { path: '/mcp', tools: ['a'], methods: undefined } },
      { http: [{ methods: undefined, path: '/mcp' }] },
      true,
    ],
    ['nothing', { http: [] }, { http: undefined, git: [] }, true],
  ];
  test.each(rows)('%s', (_, lower, higher, expected) => {
    expect(areFunctionsWithin([lower], [higher])).toBe(expected);
  });
});
