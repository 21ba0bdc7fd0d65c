import { expect, test } from 'vitest';

import { mendSample } from '../../../src/tour/model-api/mend-sample.ts';
import type { Outcome } from '../../../src/tour/model-api/script.ts';

/** The script of the stand-in reacts to what the agent's tools answer. */

const red: Outcome = { failed: true, text: 'Exit code 1\n✔ a\n✖ b\nℹ tests 2\nℹ pass 1\nℹ fail 1\n' };
const green: Outcome = { failed: false, text: '# tests 2\n# pass 2\n# fail 0\n' };
const fine: Outcome = { failed: false, text: 'ok' };
const denied: Outcome = { failed: true, text: 'This command requires approval' };
const refusedPage: Outcome = { failed: false, text: 'casemate: example.org:443 is not allowed by the policy of this sandbox' };

const script = mendSample({ root: '/workspace', reach: 'https://example.org/' });

test('it runs the tests, reads, edits, reaches out, and runs the tests again', () => {
  const kinds = [[], [red], [red, fine], [red, fine, fine], [red, fine, fine, refusedPage]].map(
    (outcomes) => script(outcomes).act,
  );
  expect(kinds.map((act) => act?.kind)).toEqual(['run', 'read', 'edit', 'run', 'run']);
  expect(kinds[1]).toEqual({ kind: 'read', path: '/workspace/src/opening-hours.js' });
  expect(kinds[3]).toMatchObject({ command: 'curl -sS --max-time 20 https://example.org/' });
});

test('it ends with what came of it', () => {
  const end = script([red, fine, fine, refusedPage, green]);
  expect(end.act).toBeUndefined();
  expect(end.say).toContain('all tests pass');
  expect(end.say).toContain('I could not reach https://example.org/ from here (casemate: example.org:443 is not allowed');
});

test('it does not claim success while tests fail', () => {
  expect(script([red, fine, fine, refusedPage, red]).say).toContain('the tests do not pass');
  expect(script([red, fine, fine, refusedPage, denied]).say).toContain('the tests do not pass');
});

test('a refused tool ends the work with the reason', () => {
  expect(script([denied])).toEqual({ say: 'I could not run the tests: This command requires approval', act: undefined });
  expect(script([red, denied]).say).toContain('I could not read the source');
  expect(script([red, fine, denied]).say).toContain('I could not change the source');
});

test('where all is green there is nothing to do', () => {
  expect(script([green])).toEqual({ say: 'All tests pass already; there is nothing to mend.', act: undefined });
});

test('a page that could be reached is not called refused', () => {
  expect(script([red, fine, fine, { failed: false, text: '<html>Example Domain</html>' }, green]).say).toContain(
    'I also looked at',
  );
});

test('without an address it reaches nowhere', () => {
  const quiet = mendSample({ root: '/w', reach: undefined });
  expect(quiet([red, fine, fine]).act).toMatchObject({ command: 'node --test' });
  expect(quiet([red, fine, fine, green]).say).toMatch(/all tests pass\.$/);
});
