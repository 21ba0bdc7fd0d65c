/** How a source file must look, as far as the linter does not say it. */
import { basename } from 'node:path';

import { withoutComments, withoutStrings, type SourceFile } from './tree.ts';

const nothingNames = /(?:^|[-.])(?:utils?|helpers?|common|manager|handler|service|misc)(?:[-.]|s?\.ts$)/;
const nothingTypes = /\b(?:interface|class|type)\s+(?:\w*(?:Util|Utils|Helper|Manager|Handler|Service|Misc)|I[A-Z]\w+)\b/;

const rules: readonly { readonly fault: string; readonly broken: (file: SourceFile) => boolean }[] = [
  { fault: 'opens without a doc comment', broken: ({ text }) => !opensWithComment(text) },
  { fault: 'has more than 400 lines', broken: ({ text }) => text.split('\n').length > 401 },
  { fault: 'has a name that says nothing', broken: ({ path }) => nothingNames.test(basename(path)) },
  {
    fault: 'is not named in kebab-case',
    broken: ({ path }) => !/^[a-z0-9]+(?:-[a-z0-9]+)*(?:\.test)?\.ts$/.test(basename(path)),
  },
  { fault: 'has a type name that says nothing', broken: ({ text }) => nothingTypes.test(withoutStrings(text)) },
  { fault: 'has a default export', broken: ({ text }) => /^export\s+default\b|\bas\s+default\b/m.test(withoutStrings(text)) },
  { fault: 'says `any`', broken: ({ text }) => /(?:[:<|&(,]\s*|\bas\s+)any\b(?!\w|\s*[:'])/.test(withoutStrings(text)) },
  { fault: 'asserts with `!`', broken: ({ text }) => /[\w)\]]!(?:[.;,)\][]|\s*$)/m.test(withoutStrings(text)) },
  { fault: 'uses the console', broken: ({ text }) => /\bconsole\s*\./.test(withoutStrings(text)) },
  { fault: 'asks for a shell', broken: ({ text }) => /\bshell\s*:\s*true\b/.test(withoutStrings(text)) },
  { fault: 'leaves work behind', broken: ({ text }) => /\b(?:TODO|FIXME|XXX|HACK)\b/.test(text) },
  {
    fault: 'disables a lint rule without a reason',
    broken: ({ text }) => /oxlint-disable(?:-next-line|-line)?\s+[\w/,\s@-]+?(?:\*\/)?$/m.test(unexplained(text)),
  },
];

export function formFaults(files: readonly SourceFile[]): readonly string[] {
  return files.flatMap((file) => rules.filter(({ broken }) => broken(file)).map(({ fault }) => `${file.path} ${fault}`));
}

const testRules: typeof rules = [
  {
    fault: 'mocks a module',
    broken: ({ text }) => /\b(?:vi|vitest)\s*\.\s*(?:mock|doMock|hoisted)\s*\(/.test(withoutStrings(text)),
  },
  { fault: 'runs one test only', broken: ({ text }) => /\b(?:test|it|describe)(?:\.\w+)*\.only\b/.test(withoutStrings(text)) },
  {
    fault: 'holds an empty promise',
    broken: ({ text }) => /\b(?:test|it|describe)\.todo\b|\bx(?:it|describe)\(/.test(withoutStrings(text)),
  },
  { fault: 'skips without saying why', broken: ({ text }) => /\b(?:test|it|describe)\.skip\s*\(/.test(withoutStrings(text)) },
];

export function testFaults(files: readonly SourceFile[]): readonly string[] {
  return files.flatMap((file) => testRules.filter(({ broken }) => broken(file)).map(({ fault }) => `${file.path} ${fault}`));
}

/** The first comment may stand behind a shebang and the imports: `errors.ts` opens with it, `ids.ts` after its imports. */
function opensWithComment(text: string): boolean {
  const start = text.replace(/^#!.*\n/, '').replace(/^(?:(?:import|export)\s[^;]*;\s*)*/, '');
  return start.startsWith('/**');
}

function unexplained(text: string): string {
  return text
    .split('\n')
    .filter((line) => line.includes('oxlint-disable') && !line.includes(' -- '))
    .join('\n');
}

/** Addresses of package registries and the place of this checkout: neither belongs in a file that others get. */
export function addressFaults(files: readonly SourceFile[], checkout: string): readonly string[] {
  const registry =
    /\b(?:registry\.(?:npmjs|yarnpkg|npmmirror)\.|npm\.pkg\.github\.|(?:files\.)?pythonhosted\.|pypi\.org|(?:static\.|index\.)?crates\.io|rubygems\.org|proxy\.golang\.org|registry-1\.docker\.)/i;
  return files.flatMap(({ path, text }) => [
    ...(registry.test(text) ? [`${path} holds the address of a package registry`] : []),
    ...(text.includes(`${checkout}/`) ? [`${path} holds a path of the machine it was written on`] : []),
  ]);
}

/** Codes of the error table that nothing raises, and codes that no test asks for. */
export function errorCodeFaults(
  codes: readonly string[],
  files: readonly SourceFile[],
  testFiles: readonly SourceFile[],
): readonly string[] {
  const raising = files.filter(({ path }) => path !== 'src/base/errors.ts');
  return codes.flatMap((code) => [
    ...(named(code, raising) ? [] : [`${code} is raised nowhere`]),
    ...(named(code, testFiles) ? [] : [`${code} is asked for by no test`]),
  ]);
}

function named(code: string, where: readonly SourceFile[]): boolean {
  return where.some(({ text }) => withoutComments(text).includes(`'${code}'`));
}
