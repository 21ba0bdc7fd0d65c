import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { canonicalPath } from '../../../src/policy/matching/canonical-path.ts';
import { isIncluded } from '../../../src/policy/matching/glob-inclusion.ts';
import { compileGlob, matchPath } from '../../../src/policy/matching/match-path.ts';
import { ownTime } from '../../helpers/own-time.ts';

/** The slow reference: the definition of the stars, tried out one by one. */
function matchesSlowly(glob: string, path: string): boolean {
  if (glob === '') {
    return path === '';
  }
  if (glob.startsWith('**')) {
    return matchesSlowly(glob.slice(2), path) || (path !== '' && matchesSlowly(glob, path.slice(1)));
  }
  if (glob.startsWith('*')) {
    return matchesSlowly(glob.slice(1), path) || (path !== '' && path[0] !== '/' && matchesSlowly(glob, path.slice(1)));
  }
  return path[0] === glob[0] && matchesSlowly(glob.slice(1), path.slice(1));
}

const globs = fc
  .array(fc.constantFrom('/', 'a', 'b', '*', '**'), { maxLength: 7 })
  .map((parts) => `/${parts.join('')}`)
  .filter((glob) => !glob.includes('***'));
const paths = fc.array(fc.constantFrom('/', 'a', 'b', 'c'), { maxLength: 8 }).map((parts) => `/${parts.join('')}`);

describe('matchPath', () => {
  test.each([
    ['/v1/messages', '/v1/messages', true],
    ['/v1/messages', '/v1/messages/', false],
    ['/v1/messages', '/v1/message', false],
    ['/v1/*', '/v1/models', true],
    ['/v1/*', '/v1/models/x', false],
    ['/v1/*', '/v1/', true],
    ['/v1/**', '/v1/models/x/y', true],
    ['/v1/**', '/v1', false],
    ['/**', '/', true],
    ['/*/*/git-upload-pack', '/owner/repo.git/git-upload-pack', true],
    ['/*/*/git-upload-pack', '/owner/repo.git/git-receive-pack', false],
    ['/a*b', '/a/b', false],
    ['/a**b', '/a/b', true],
    ['/a.c', '/abc', false],
  ])('reads %s against %s as %s', (glob, path, expected) => {
    expect(matchPath(compileGlob(glob), path)).toBe(expected);
  });

  test('agrees with a slow reference matcher', () => {
    fc.assert(
      fc.property(globs, paths, (glob, path) => {
        expect(matchPath(compileGlob(glob), path)).toBe(matchesSlowly(glob, path));
      }),
      { numRuns: 3000 },
    );
  });

  test('takes no more than linear time for a glob made to explode', () => {
    const glob = compileGlob(`/${'*a'.repeat(100)}${'**b'.repeat(60)}`);
    const time = (length: number): number => {
      const usedMs = ownTime();
      expect(matchPath(glob, `/${'a'.repeat(length)}`)).toBe(false);
      return usedMs();
    };
    time(2000);
    expect(time(16_000)).toBeLessThan(2000);
  });
});

describe('isIncluded', () => {
  test.each([
    ['/v1/messages', ['/v1/*'], true],
    ['/v1/*', ['/v1/**'], true],
    ['/v1/**', ['/v1/*'], false],
    ['/v1/**', ['/v1/*', '/v1/*/**'], true],
    ['/a*', ['/a', '/a*b', '/ab*'], false],
    ['/**', ['/'], false],
    ['/x', [], false],
  ])('%s within %j: %s', (inner, outers, expected) => {
    expect(isIncluded(compileGlob(inner), outers.map(compileGlob))).toBe(expected);
  });

  test('never claims an inclusion that a path refutes, and finds those of a glob in itself and in /**', () => {
    fc.assert(
      fc.property(globs, fc.array(globs, { maxLength: 3 }), fc.array(paths, { maxLength: 30 }), (inner, outers, tried) => {
        const compiled = outers.map(compileGlob);
        if (isIncluded(compileGlob(inner), compiled)) {
          for (const path of tried.filter((one) => matchPath(compileGlob(inner), one))) {
            expect(compiled.some((outer) => matchPath(outer, path))).toBe(true);
          }
        }
        expect(isIncluded(compileGlob(inner), [...compiled, compileGlob('/**')])).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });

  test('is exact on short paths', () => {
    const all = shortPaths(['/', 'a', 'b'], 5);
    fc.assert(
      fc.property(
        fc.constantFrom('/', '/a', '/*', '/a*', '/*b', '/a/*', '/**', '/**b', '/a/**'),
        fc.array(globs, { minLength: 1, maxLength: 2 }),
        (inner, outers) => {
          const refuted = all.some(
            (path) => matchPath(compileGlob(inner), path) && !outers.some((outer) => matchPath(compileGlob(outer), path)),
          );
          if (refuted) {
            expect(isIncluded(compileGlob(inner), outers.map(compileGlob))).toBe(false);
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  test('gives up in time and on the safe side', () => {
    const outer = `/${'**a*b'.repeat(60)}`;
    const usedMs = ownTime();
    expect(isIncluded(compileGlob(`/**${'a*'.repeat(100)}b`), [compileGlob(outer)])).toBe(false);
    expect(usedMs()).toBeLessThan(5000);
  });
});

function shortPaths(characters: readonly string[], length: number): readonly string[] {
  const longer = (paths: readonly string[]): readonly string[] =>
    paths.flatMap((path) => characters.map((character) => path + character));
  let level: readonly string[] = ['/'];
  const result = [...level];
  for (let count = 1; count < length; count += 1) {
    level = longer(level);
    result.push(...level);
  }
  return result;
}

describe('canonicalPath', () => {
  test.each([
    ['/v1/messages?beta=true', '/v1/messages'],
    ['/%76%31/x', '/v1/x'],
    ['/a%20b', '/a%20b'],
    ['/a%c3%a4', '/a%C3%A4'],
    ['/a/', '/a/'],
    ['/', '/'],
    ['/a?b/../c', '/a'],
    ['/a...b/..c', '/a...b/..c'],
    ['/a%2Bb', '/a%2Bb'],
    ['/a%2525', '/a%2525'],
    ['/@scope%2fname', undefined],
    ['/a;x=1/b', '/a;x=1/b'],
  ])('reads %s as %s', (target, expected) => {
    expect(canonicalPath(target)).toBe(expected);
  });

  test.each([
    '',
    'v1',
    '*',
    'http://h/x',
    '/a//b',
    '//',
    '/a/../b',
    '/..',
    '/a/.',
    '/./a',
    '/%2e%2e/a',
    '/.%2E/a',
    '/a/..;x/b',
    '/a/%2e;/b',
    '/a%2fb',
    '/a%2Fb',
    '/a%5cb',
    '/a\\b',
    '/a%00',
    '/a%0d%0a',
    '/a%7f',
    '/a#b',
    '/a%',
    '/a%2',
    '/a%zz',
    '/a b',
    '/a\tb',
    '/ä',
    '/a%252e%252e/b',
    '/a%252fb',
    '/a%25252Fb',
    '/a%255c',
    '/a%2500',
    '/a%25%32%65',
    '/a%25%30%61',
  ])('has no reading of %j', (target) => {
    expect(canonicalPath(target)).toBeUndefined();
  });

  test('changes nothing the second time, and leaves no dot segment or empty segment', () => {
    const target = fc.array(fc.constantFrom('/', '.', '..', 'a', '%2e', '%2F', '%41', '%25', '2e', '\\', ';', '?', '%', '%c3'), {
      maxLength: 10,
    });
    fc.assert(
      fc.property(target, (parts) => {
        const path = canonicalPath(`/${parts.join('')}`);
        if (path !== undefined) {
          expect(canonicalPath(path)).toBe(path);
          expect(new URL(path, 'http://host.example').pathname).toBe(path);
          expect(path).not.toMatch(/\/\/|\/\.{1,2}(?:\/|;|$)/);
        }
      }),
      { numRuns: 3000 },
    );
  });
});

test('a path in which nothing has to be looked into is judged as one in which something has', () => {
  const piece = fc.constantFrom(
    '/',
    '//',
    '.',
    '..',
    'a',
    'Z',
    '~',
    '-',
    '_',
    ';',
    ';x',
    '0',
    '%2e',
    '%2F',
    '%zz',
    '\\',
    '#',
    ' ',
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 10 }), (pieces) => {
      // With an escape behind it, it goes the long way.
      const path = `/${pieces.join('')}`;
      expect(canonicalPath(`${path}A`)).toBe(canonicalPath(`${path}%41`));
      expect(canonicalPath(`${path}/`)).toBe(canonicalPath(`/%41${path}/`)?.slice(2));
    }),
    { numRuns: 3000 },
  );
});
