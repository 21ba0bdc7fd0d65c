/** What the checkout promises as a whole: its package, its links, its generated pages, its set-up. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { describe, expect, test } from 'vitest';
import { z } from 'zod';

import { generatedDocs } from '../../scripts/docs.ts';
import { guaranteeIds, guarantees } from '../../src/proof/guarantees.ts';
import { probes } from '../../src/proof/probes.ts';
import { version } from '../../src/system/version.ts';
import { linkFaults, manifestFaults, pathFaults } from './house.ts';
import { root, tree } from './tree.ts';

const manifest: unknown = JSON.parse(tree.find(({ path }) => path === 'package.json')?.text ?? '');
const pages = tree.filter(({ path }) => path.endsWith('.md') && !path.startsWith('src/tour/sample/'));

describe('the package', () => {
  test('has no run-time dependency, no script that runs on installation, and the version of the program', () => {
    expect(manifestFaults(manifest, version)).toEqual([]);
  });

  test.each<[string, object, RegExp]>([
    ['a dependency', { dependencies: { zod: '1' } }, /dependency zod/],
    ['an install script', { scripts: { postinstall: 'node x' } }, /postinstall/],
    ['another version', { version: '9.9.9' }, /9\.9\.9/],
    ['a range', { devDependencies: { zod: '^1.0.0' } }, /zod is not pinned/],
  ])('would be caught with %s', (_, change, fault) => {
    expect(manifestFaults({ version: '1.0.0', ...change }, '1.0.0').join('\n')).toMatch(fault);
  });
});

describe('links between pages', () => {
  const present = (path: string): boolean => existsSync(join(root, path));

  test('lead to files that are there, and to headings that are there', () => {
    expect(linkFaults(pages, present)).toEqual([]);
  });

  test('name files and folders of ours that are there', () => {
    expect(pathFaults(pages, (path) => path === 'bench/results/' || present(path))).toEqual([]);
    expect(pathFaults([{ path: 'a.md', text: 'see `src/no/where.ts`' }], present)).toEqual([
      'a.md: src/no/where.ts is not there',
    ]);
  });

  test('would be caught leading nowhere', () => {
    const page = {
      path: 'docs/a.md',
      text: '# One\n[x](b.md) [y](#two) [z](https://example.com) [ok](#one) [up](../README.md)\n`[code](c.md)`',
    };
    const other = { path: 'docs/c.md', text: '# Three\n[there](a.md#one) [not there](a.md#three)' };
    expect(linkFaults([page, other], (path) => path !== 'docs/b.md')).toEqual([
      'docs/a.md: b.md is not there',
      'docs/a.md: there is no heading #two',
      'docs/c.md: there is no heading a.md#three',
    ]);
  });
});

describe('the threat model', () => {
  const rows = (tree.find(({ path }) => path === 'docs/threat-model.md')?.text ?? '')
    .split('\n')
    .filter((line) => /^\| G\d+ \|/.test(line));

  test('says of each guarantee what a proof says of it', () => {
    const said = rows.map((row) =>
      row
        .split('|')
        .map((cell) => cell.trim())
        .slice(1, 3),
    );
    expect(said).toEqual(guaranteeIds.map((id) => [id, guarantees[id].text]));
  });

  test('names for each guarantee it says is held the test that attacks it, or a probe of that guarantee', () => {
    const attacked = (row: string): boolean => {
      const [, id = '', , , , , by = ''] = row.split('|').map((cell) => cell.trim());
      const named = [...by.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name);
      const isProbe = (name: string): boolean => probes[name]?.proves.some((guarantee) => guarantee === id) === true;
      return named.some((name) => /^test\/[\w/-]+\.test\.ts$/.test(name) || isProbe(name));
    };
    expect(rows).toHaveLength(25);
    expect(rows.filter((row) => row.includes('| held |') && !attacked(row))).toEqual([]);
  });
});

describe('the changelog', () => {
  test('opens with what is not released yet', () => {
    expect(tree.find(({ path }) => path === 'CHANGELOG.md')?.text).toMatch(/^# Changelog\n[\s\S]*?\n## Unreleased\n/);
  });
});

describe('generated pages', () => {
  test.each([...generatedDocs()])('%s is what its source says now (npm run docs)', (path, text) => {
    expect(tree.find((file) => file.path === path)?.text).toBe(text);
  });
});

describe('npm run', () => {
  test('hands its arguments to a program that reads them', () => {
    // They are put behind the last of several.
    const { scripts } = z.object({ scripts: z.record(z.string(), z.string()) }).parse(manifest);
    const last = Object.values(scripts).filter((line) => line.includes('&&'));
    const programs = last.map((line) => /node (\S+)$/.exec(line)?.[1]);
    const deaf = programs.filter((path) => !/parseArgs|process\.argv/.test(tree.find((file) => file.path === path)?.text ?? ''));
    expect(programs.length).toBeGreaterThan(0);
    expect(deaf).toEqual([]);
  });
});

describe('the set-up scripts', () => {
  test('import only Node and each other, for they run before anything is installed', () => {
    const scripts = tree.filter(({ path }) => /^scripts\/(?:start|test|setup\/[^/]+)\.mjs$/.test(path));
    const foreign = scripts.flatMap(({ path, text }) =>
      Array.from(text.matchAll(/\bfrom '([^']+)'/g), ([, target = '']) => target)
        .filter((target) => !target.startsWith('node:') && !existsSync(join(root, dirname(path), target)))
        .map((target) => `${path}: ${target}`),
    );
    expect(scripts.length).toBeGreaterThan(5);
    expect(foreign).toEqual([]);
  });
});
