/** A mutant that does not fit the source any more, or names a probe that is not there, proves nothing. */
import { expect, test } from 'vitest';

import { probes } from '../../../src/proof/probes.ts';
import { tree } from '../../meta/tree.ts';
import { mutants } from '../../mutants/all.ts';
import { withoutMutant } from '../../mutants/without-mutant.ts';

const textOf = (path: string): string => tree.find((file) => file.path === path)?.text ?? '';
const edits = mutants.flatMap((mutant) => [mutant, ...(mutant.also ?? [])].map((edit) => ({ name: mutant.name, ...edit })));

test('what a mutant replaces stands exactly once in a file of the product', () => {
  const misfits = edits.filter(({ file, find }) => !file.startsWith('src/') || textOf(file).split(find).length !== 2);
  expect(misfits.map(({ name, file, find }) => `${name}: ${file}: ${find}`)).toEqual([]);
});

test('a mutant changes something', () => {
  expect(edits.filter(({ find, replace }) => find === replace).map(({ name }) => name)).toEqual([]);
});

test('every name is one mutant, and says which probes catch it', () => {
  const names = mutants.map(({ name }) => name);
  expect(names.filter((name, index) => names.indexOf(name) !== index || !/^[a-z\d]+(?:-[a-z\d]+)*$/.test(name))).toEqual([]);
  const unknown = mutants.flatMap(({ name, caughtBy }) =>
    caughtBy.length === 0 ? [`${name}: none`] : caughtBy.filter((id) => probes[id] === undefined).map((id) => `${name}: ${id}`),
  );
  expect(unknown).toEqual([]);
});

test('every probe has a mutant that turns it red, or a reason why none does', () => {
  const caught = new Set(mutants.flatMap(({ caughtBy }) => caughtBy));
  const reasons = Object.keys(withoutMutant);
  expect(Object.keys(probes).filter((id) => !caught.has(id) && !reasons.includes(id))).toEqual([]);
  expect(reasons.filter((id) => caught.has(id) || probes[id] === undefined)).toEqual([]);
});
