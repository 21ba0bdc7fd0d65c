import { DatabaseSync } from 'node:sqlite';

import { expect, test } from 'vitest';

import { credentialMarks, credentialTables, type CredentialMarks } from '../../../src/sandbox/stored/credential-marks.ts';

/** What is remembered of credentials beside their values. */

function open(database = new DatabaseSync(':memory:')): CredentialMarks {
  database.exec(credentialTables);
  return credentialMarks(database);
}

test('a revocation for all and one for a sandbox are two, and each is ended by its own', () => {
  const marks = open();
  marks.revoke({ name: 'github', sandbox: undefined, sinceMs: 1 });
  marks.revoke({ name: 'github', sandbox: 'cm-1', sinceMs: 2 });
  expect(['cm-1', 'cm-2'].map((sandbox) => marks.isRevoked('github', sandbox))).toEqual([true, true]);
  expect(marks.isRevoked('git', 'cm-1')).toBe(false);
  expect(marks.restore('github')).toBe(true);
  expect(['cm-1', 'cm-2'].map((sandbox) => marks.isRevoked('github', sandbox))).toEqual([true, false]);
  expect([marks.restore('github', 'cm-1'), marks.restore('github', 'cm-1')]).toEqual([true, false]);
  expect(marks.revocations()).toEqual([]);
});

test('every change of what is revoked is another version', () => {
  const marks = open();
  const versions = [
    marks.version(),
    (marks.revoke({ name: 'a', sandbox: undefined, sinceMs: 1 }), marks.version()),
    (marks.restore('a'), marks.version()),
    (marks.forget('a'), marks.version()),
  ];
  expect(new Set(versions).size).toBe(4);
});

test('what was revoked and used is there for the next daemon, until it is forgotten', () => {
  const database = new DatabaseSync(':memory:');
  const first = open(database);
  first.revoke({ name: 'a', sandbox: undefined, sinceMs: 5 });
  first.used('a', 'cm-1', 1000);
  first.used('a', 'cm-1', 2000);
  first.used('b', 'cm-1', 3000);
  expect(first.uses().map(({ name, lastMs }) => [name, lastMs])).toEqual([
    ['b', 3000],
    ['a', 2000],
  ]);
  const second = open(database);
  expect(second.isRevoked('a', 'cm-9')).toBe(true);
  // Once a minute is written; what came since died with the process.
  expect(second.uses().find(({ name }) => name === 'a')?.lastMs).toBe(1000);
  second.forget('a');
  expect(open(database).isRevoked('a', 'cm-9')).toBe(false);
  expect(
    open(database)
      .uses()
      .map(({ name }) => name),
  ).toEqual(['b']);
});
