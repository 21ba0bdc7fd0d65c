/** A command that fails at the daemon ends by itself, with the right code, though its connection was still open. */
import { expect, test } from 'vitest';

import { makeHome } from '../helpers/cli.ts';

test.each<[readonly string[], number, RegExp]>([
  [['exec', 'nobody', '--', 'ls'], 2, /no sandbox is named "nobody"/],
  [['stop', 'nobody'], 2, /no sandbox is named "nobody"/],
  [['run', '--policy', '/nowhere/casemate.yaml', '--', 'true'], 2, /\/nowhere\/casemate\.yaml/],
])('%j ends with %i', async (args, code, said) => {
  const home = await makeHome();
  try {
    const outcome = await home.casemate(args, { timeoutMs: 20_000 });
    expect(outcome.err).toMatch(said);
    expect(outcome.code).toBe(code);
  } finally {
    await home.remove();
  }
});
