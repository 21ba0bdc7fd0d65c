/** Whose a file may be that a sandbox left. */
import { expect, test } from 'vitest';

import { isOwned } from '../../../src/proof/probes/left-files.ts';

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
