/** Recipe files: what is accepted, and how a fault is told. */
import fc from 'fast-check';
import { expect, test } from 'vitest';

import { isCasemateError } from '../../../src/base/errors.ts';
import {
  findRecipe,
  hostTarget,
  isRecipeFile,
  lastOf,
  recipeDigest,
  builtinChain,
} from '../../../src/images/recipes/find-recipe.ts';
import { parseRecipe } from '../../../src/images/recipes/parse-recipe.ts';
import { builtinRecipes } from '../../../src/images/recipes/recipes.ts';

const target = { platform: 'x64', suite: 'bookworm' } as const;
const integrity = `sha512-${'A'.repeat(86)}==`;

function fault(text: string): { message: string; hint: string | undefined } {
  try {
    parseRecipe(text, { file: 'r.yaml', target });
  } catch (error) {
    if (isCasemateError(error) && error.code === 'RECIPE_INVALID') {
      return { message: error.message, hint: error.hint };
    }
    throw error;
  }
  throw new Error('accepted');
}

test('a recipe file with everything is read', () => {
  const recipe = parseRecipe(
    `name: mine
from: base
debian: { packages: [g++, libssl-dev] }
npm: [{ name: "@scope/tool", version: 1.2.3-rc.1, integrity: ${integrity} }]
files: [{ path: /etc/mine.conf, content: "x", mode: "0600" }]
bin: { tool: /usr/local/lib/node_modules/@scope/tool/cli.js }
checks: [{ command: [tool, --version], contains: 1.2.3 }]
`.replace('contains: 1.2.3', 'contains: "1.2.3"'),
    { file: 'r.yaml', target },
  );
  expect(recipe).toMatchObject({ name: 'mine', from: 'base', debian: { suite: 'bookworm', packages: ['g++', 'libssl-dev'] } });
  expect(recipe.files).toEqual([{ path: '/etc/mine.conf', content: 'x', mode: 0o600 }]);
});

test.each([
  ['name: mine\nfrom: base\ndebain: {}\n', 'r.yaml:3:1: unknown key "debain"', 'Did you mean "debian"?'],
  [
    'name: mine\nfrom: base\ndebian: { packages: [a-] }\n',
    'r.yaml:3:22: "debian.packages.0" is not the name of a Debian package',
    undefined,
  ],
  ['name: mine\nfrom: bse\n', 'r.yaml:2:7: there is no recipe "bse" to start from', 'Did you mean "base"?'],
  ['name: base\ndebian: { packages: [jq] }\n', 'r.yaml:1:7: "base" is the name of a built-in recipe', undefined],
  ['name: *nobody\nfrom: base\n', /^r\.yaml:1:1: Unresolved alias/, undefined],
  ['name: mine\n', 'r.yaml:1:1: either "from" or "debian" is needed', 'Write "from: base" to add to the base image.'],
  ['name: mine\nfrom: base\nname: twice\n', /^r\.yaml:3:1: /, undefined],
  [
    'name: mine\nfrom: base\nfiles: [{ path: /home/agent/x, content: "" }]\n',
    /r\.yaml:3:17: "files.0.path" must be an absolute path below/,
    undefined,
  ],
  ['name: mine\nfrom: base\nfiles: [{ path: /etc/../root/x, content: "" }]\n', /plain path/, undefined],
  ['name: mine\nfrom: base\nfiles: [{ path: /etc/x, content: "", mode: "4755" }]\n', /must be written as "0644"/, undefined],
  ['name: mine\nfrom: base\nnpm: [{ name: x, version: ^1, integrity: y }]\n', /must be one exact version/, undefined],
  ['name: mine\nfrom: base\npython: [{ name: x, version: ">=1", sha256: y }]\n', /must be one exact version/, undefined],
  ['name: mine\nfrom: base\npython: [{ name: x, version: "1", sha256: y }]\n', /must be the SHA-256 of the wheel/, undefined],
  [
    'name: mine\nfrom: base\npython: [{ name: --x, version: "1", sha256: y }]\n',
    /is not the name of a Python package/,
    undefined,
  ],
  [
    'name: mine\nfrom: base\ndebian: { suite: trixie, packages: [] }\n',
    /r\.yaml:3:18: "base" is built from bookworm, not trixie/,
    'Leave "suite" out.',
  ],
])('a fault in %j is told with its place', (text, message, hint) => {
  const told = fault(text);
  if (typeof message === 'string') {
    expect(told.message).toBe(message);
  } else {
    expect(told.message).toMatch(message);
  }
  if (hint !== undefined) {
    expect(told.hint).toBe(hint);
  }
});

test('no text makes the parser fail otherwise than with RECIPE_INVALID', () => {
  const piece = fc.oneof(
    fc.constantFrom('name: ', 'from: base\n', 'debian:', ' {', '}', '[', ']', '&a ', '*a ', '\n', '- ', '? ', '!!js ', '\t'),
    fc.string(),
  );
  fc.assert(
    fc.property(
      fc.array(piece).map((pieces) => pieces.join('')),
      (text) => {
        try {
          parseRecipe(text, { file: 'r.yaml', target });
        } catch (error) {
          expect(isCasemateError(error) && error.code).toBe('RECIPE_INVALID');
        }
      },
    ),
  );
});

test('no Debian package name that is accepted can be taken for an option, a removal or a pattern', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...'-+.~?*/=:%a1'.split('')), minLength: 1, maxLength: 6 }), (name) => {
      try {
        const recipe = parseRecipe(`name: mine\nfrom: base\ndebian: { packages: [${JSON.stringify(name)}] }\n`, {
          file: 'r.yaml',
          target,
        });
        expect(recipe.debian?.packages[0]).toMatch(/^[a-z0-9][a-z0-9+.-]*[a-z0-9+]$/);
      } catch (error) {
        expect(isCasemateError(error) && error.code).toBe('RECIPE_INVALID');
      }
    }),
  );
});

test('every built-in recipe has exact versions, pinned hashes and a check, on both processors', () => {
  for (const make of Object.values(builtinRecipes)) {
    for (const platform of ['x64', 'arm64'] as const) {
      const recipe = make({ platform, suite: 'bookworm' });
      expect(recipe.checks.length).toBeGreaterThan(0);
      for (const npmPackage of recipe.npm) {
        expect(npmPackage.integrity).toMatch(/^sha512-[A-Za-z0-9+/]{86}==$/);
        expect(npmPackage.version).toMatch(/^\d+\.\d+\.\d+/);
      }
    }
  }
});

test('the digest of a recipe changes with its own content and with that of the recipe below', () => {
  const claude = builtinChain('claude', target);
  const [base, own] = [claude[0], lastOf(claude)];
  const changed = { ...base, debian: { suite: 'bookworm', packages: ['git'] } };
  expect(recipeDigest([changed, own])).not.toBe(recipeDigest(claude));
  expect(recipeDigest([base, { ...own, bin: {} }])).not.toBe(recipeDigest(claude));
  expect(recipeDigest(builtinChain('claude', target))).toBe(recipeDigest(claude));
});

test("the release is the host's own where the host is Debian", () => {
  expect(hostTarget('ID=debian\nVERSION_CODENAME=trixie\n', 'x64')).toEqual({ platform: 'x64', suite: 'trixie' });
  expect(hostTarget('ID=ubuntu\nVERSION_CODENAME=noble\n', 'arm64')).toEqual({ platform: 'arm64', suite: 'bookworm' });
  expect(hostTarget('', 'x64').suite).toBe('bookworm');
  expect(() => hostTarget('', 'riscv64')).toThrow(expect.objectContaining({ code: 'IMAGE_BUILD_FAILED' }));
});

test('an unknown recipe gets the nearest name', async () => {
  await expect(findRecipe('cluade', target, '/')).rejects.toMatchObject({
    code: 'RECIPE_INVALID',
    hint: 'Did you mean claude?',
  });
  expect(isRecipeFile('./x')).toBe(true);
  expect(isRecipeFile('x.yml')).toBe(true);
  expect(isRecipeFile('claude')).toBe(false);
});
