import { defineConfig } from 'vitest/config';

import { realTests } from './test/helpers/one-at-a-time.ts';

const { alone, beside } = realTests(import.meta.dirname);

/** Unit tests share threads; whatever starts sandboxes runs one file at a time, and so do real files and sockets, beside it. */
const real = {
  pool: 'forks',
  fileParallelism: false,
  testTimeout: 60_000,
  hookTimeout: 600_000,
  // A command line that is asked again and again takes seconds on a busy machine.
  expect: { poll: { timeout: 15_000 } },
} as const;

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/unit/**/*.test.ts', 'test/meta/**/*.test.ts'],
          pool: 'threads',
          isolate: false,
          // A machine that is busy with other things is no fault of a test.
          testTimeout: 60_000,
          expect: real.expect,
        },
      },
      { test: { ...real, name: 'real', include: [...alone] } },
      { test: { ...real, name: 'beside', include: [...beside] } },
      // Run by `npm test` as an ordinary user: the same contract, and what only an ordinary user can show.
      { test: { ...real, name: 'rootless', include: ['test/{contract,rootless}/**/*.test.ts'] } },
    ],
  },
});
