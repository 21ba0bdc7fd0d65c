/** Whose a file may be that a sandbox left. */
import { expect, test } from 'vitest';

import { givesNobody, isOwned } from '../../../src/proof/probes/left-files.ts';

const strict = { owner: 1002, word: 'root-ab', nobodys: [] };
const subordinate = { ...strict, nobodys: [{ inside: 1, outside: 165_536, size: 65_535 }] };

test.each([
  ["the owner's", { path: 'agent-cd-file', uid: 1002, gid: 1002 }, true, true],
  ["another user's", { path: 'agent-cd-file', uid: 1001, gid: 1002 }, false, false],
  ["another user's group", { path: 'root-ab-file', uid: 1002, gid: 100 }, false, false],
  ["a subordinate id's, left by the agent", { path: 'agent-cd-file', uid: 165_536, gid: 165_536 }, false, false],
  ["a subordinate id's, left by root inside", { path: 'root-ab-file', uid: 165_536, gid: 165_536 }, false, true],
  ["the host's root's", { path: 'root-ab-file', uid: 0, gid: 0 }, false, false],
  ['of an id beside the range', { path: 'root-ab-file', uid: 165_535, gid: 165_536 }, false, false],
])('%s', (_, entry, ofRoot, ofUser) => {
  expect([isOwned(entry, strict), isOwned(entry, subordinate)]).toEqual([ofRoot, ofUser]);
});

test.each([
  ['for namespaces of a subordinate id', 'security.capability', `01000003${'00'.repeat(16)}a0860200`, true],
  ['for namespaces of another id', 'security.capability', `01000003${'00'.repeat(16)}ea030000`, false],
  ['for namespaces of root', 'security.capability', `01000003${'00'.repeat(16)}00000000`, false],
  ['for everybody', 'security.capability', `01000002${'00'.repeat(16)}`, false],
  ['cut off', 'security.capability', '01000003', false],
  ['of another name', 'security.ima', `01000003${'00'.repeat(16)}a0860200`, false],
])('capabilities %s', (_, name, value, nobodys) => {
  expect(givesNobody({ name, value }, subordinate.nobodys)).toBe(nobodys);
  expect(givesNobody({ name, value }, [])).toBe(false);
});
