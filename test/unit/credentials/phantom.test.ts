import fc from 'fast-check';
import { expect, test } from 'vitest';

import { hasPhantom, isPhantom, makePhantom, phantomMark } from '../../../src/credentials/phantom.ts';
import { providers } from '../../../src/credentials/providers.ts';

/** Phantoms have the form of real keys, are one per sandbox and credential, and are known for phantoms. */

const installationKey = Buffer.alloc(32, 7);
const owner = { sandboxId: 'cm-0123456789abcdef', credentialName: 'anthropic', installationKey };

function phantomFor(sandboxId: string, credentialName: string): string {
  return makePhantom(providers.header.phantom, { sandboxId, credentialName, installationKey });
}

test.each([
  // The forms that secret scanners know these keys by.
  ['anthropic', /^sk-ant-api03-[A-Za-z0-9_-]{93}AA$/],
  ['openai', /^sk-proj-[A-Za-z0-9_-]{74}T3BlbkFJ[A-Za-z0-9_-]{74}$/],
  ['header', /^cmph_[A-Za-z0-9]{43}$/],
] as const)('a phantom for %s has the form of a real key', (name, form) => {
  expect(makePhantom(providers[name].phantom, owner)).toMatch(form);
});

test('a sandbox keeps its phantom over a restart of the daemon', () => {
  const { phantom } = providers.anthropic;
  expect(makePhantom(phantom, owner)).toBe(makePhantom(phantom, { ...owner, installationKey: Buffer.alloc(32, 7) }));
});

test('two sandboxes, two credentials, two providers or two installations never share a phantom', () => {
  const some = [
    makePhantom(providers.anthropic.phantom, owner),
    makePhantom(providers.anthropic.phantom, { ...owner, sandboxId: 'cm-0123456789abcdee' }),
    makePhantom(providers.anthropic.phantom, { ...owner, credentialName: 'other' }),
    makePhantom(providers.anthropic.phantom, { ...owner, installationKey: Buffer.alloc(32, 8) }),
    makePhantom(providers.openai.phantom, owner),
    makePhantom(providers.header.phantom, owner),
  ];
  const bodies = some.map((phantom) => phantom.slice(phantom.indexOf(phantomMark), phantom.indexOf(phantomMark) + 40));
  expect(new Set(bodies).size).toBe(some.length);
});

test('names that run together do not give the same phantom', () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), fc.string(), fc.string(), (a, b, c, d) => {
      fc.pre(a !== c || b !== d);
      expect(phantomFor(a, b)).not.toBe(phantomFor(c, d));
    }),
    { numRuns: 200 },
  );
});

test('every phantom is known for one, alone and within a text; nothing else is', () => {
  for (const { phantom } of Object.values(providers)) {
    const made = makePhantom(phantom, owner);
    expect(isPhantom(made)).toBe(true);
    expect(hasPhantom(`{"key":"${made}"}`)).toBe(true);
    expect(isPhantom(`Bearer ${made}`)).toBe(false);
  }
  expect(hasPhantom(`sk-ant-api03-${'a'.repeat(93)}AA`)).toBe(false);
  expect(hasPhantom('cmph_short')).toBe(false);
});

test('a short installation key is refused', () => {
  expect(() => makePhantom(providers.header.phantom, { ...owner, installationKey: Buffer.alloc(8) })).toThrow(RangeError);
});
