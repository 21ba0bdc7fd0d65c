/** The form of files, each rule seen red on a sample. */
import { describe, expect, test } from 'vitest';

import { errorCodes } from '../../src/base/errors.ts';
import { addressFaults, errorCodeFaults, formFaults, testFaults } from './form.ts';
import { root, sources, tests, tree } from './tree.ts';

const comment = '/** What it is for. */\n';

describe('every source file', () => {
  test('keeps the rules of form', () => {
    expect(formFaults(sources)).toEqual([]);
  });

  test.each<[string, string, string, string]>([
    ['no doc comment', 'src/a/b.ts', "import x from 'x';\nexport const a = 1;", 'opens without a doc comment'],
    ['too many lines', 'src/a/b.ts', comment + 'x;\n'.repeat(401), 'has more than 400 lines'],
    ['a file called util', 'src/a/path-utils.ts', comment, 'has a name that says nothing'],
    ['a file called manager', 'src/a/sandbox-manager.ts', comment, 'has a name that says nothing'],
    ['a file in camel case', 'src/a/sandboxPlan.ts', comment, 'is not named in kebab-case'],
    ['a type called service', 'src/a/b.ts', `${comment}class GatewayService {}`, 'has a type name that says nothing'],
    ['a type with I in front', 'src/a/b.ts', `${comment}interface IEngine {}`, 'has a type name that says nothing'],
    ['a default export', 'src/a/b.ts', `${comment}export default 1;`, 'has a default export'],
    ['any', 'src/a/b.ts', `${comment}const a: any = 1;`, 'says `any`'],
    ['any in a list', 'src/a/b.ts', `${comment}const a: Map<string, any> = b;`, 'says `any`'],
    ['a non-null assertion', 'src/a/b.ts', `${comment}const a = b!.c;`, 'asserts with `!`'],
    ['console', 'src/a/b.ts', `${comment}console.log(1);`, 'uses the console'],
    ['a shell', 'src/a/b.ts', `${comment}spawn(a, b, { shell: true });`, 'asks for a shell'],
    ['work left', 'src/a/b.ts', `${comment}// TODO later`, 'leaves work behind'],
    [
      'a rule disabled without a reason',
      'src/a/b.ts',
      `${comment}// oxlint-disable-next-line no-eval`,
      'disables a lint rule without a reason',
    ],
  ])('is caught with %s', (_, path, text, fault) => {
    expect(formFaults([{ path, text }])).toEqual([`${path} ${fault}`]);
  });

  test('may say in words and strings what it may not do', () => {
    const text = `${comment}import { a } from './a.ts';\n// any, console.log, x!.y\nconst b = 'as any; console.log(x!.y)';\nif (a !== b) {}\n`;
    expect(formFaults([{ path: 'src/a/b.ts', text }])).toEqual([]);
  });
});

describe('every test file', () => {
  test('keeps the rules of tests', () => {
    expect(testFaults(tests.filter(({ path }) => !path.startsWith('test/meta/form')))).toEqual([]);
  });

  test.each<[string, string]>([
    ["vi.mock('x');", 'mocks a module'],
    ["test.only('x', f);", 'runs one test only'],
    ["test.todo('x');", 'holds an empty promise'],
    ["describe.skip('x', f);", 'skips without saying why'],
  ])('is caught with %s', (text, fault) => {
    expect(testFaults([{ path: 'test/a.test.ts', text }])).toEqual([`test/a.test.ts ${fault}`]);
  });
});

describe('the whole tree', () => {
  test('holds no address of a registry and no path of the machine it was written on', () => {
    expect(addressFaults(tree, root)).toEqual([]);
  });

  test('would be caught with one', () => {
    const files = [
      { path: 'a', text: `https://${['registry', 'npmjs', 'org'].join('.')}/x` },
      { path: 'b', text: 'see /somewhere/checkout/src' },
    ];
    expect(addressFaults(files, '/somewhere/checkout')).toEqual([
      'a holds the address of a package registry',
      'b holds a path of the machine it was written on',
    ]);
  });
});

describe('every error code', () => {
  test('is raised by the source and asked for by a test', () => {
    const asking = tests.filter(({ path }) => !path.startsWith('test/meta/'));
    expect(errorCodeFaults(Object.keys(errorCodes), sources, asking)).toEqual([]);
  });

  test('would be caught unused or untested', () => {
    const source = [{ path: 'src/a.ts', text: "throw new CasemateError('A', 'x'); // 'B'" }];
    expect(errorCodeFaults(['A', 'B'], source, [{ path: 'test/a.test.ts', text: "'B'" }])).toEqual([
      'A is asked for by no test',
      'B is raised nowhere',
    ]);
  });
});
