/** The architecture is a test: layers, powers, and what the entry loads. */
import { describe, expect, test } from 'vitest';

import { circles, importsOf, loadedWith } from './imports.ts';
import { layerFaults } from './layers.ts';
import { sources } from './tree.ts';

describe('layers', () => {
  test('hold in the whole source', () => {
    expect(layerFaults(sources)).toEqual([]);
  });

  test.each<[string, string, string, RegExp]>([
    ['an import of a lower folder', 'src/base/a.ts', "import { run } from '../cli/run.ts';", /base may not import cli/],
    ['an export of a lower folder', 'src/policy/a.ts', "export { run } from '../daemon/run.ts';", /policy may not import daemon/],
    [
      'a lazy import of a lower folder',
      'src/gateway/a.ts',
      "const x = await import('../sandbox/x.ts');",
      /gateway may not import sandbox/,
    ],
    [
      'an engine that knows the policy',
      'src/engines/oci/a.ts',
      "import { levels } from '../../policy/policy.ts';",
      /finished plan/,
    ],
    [
      'a type of the gateway in an engine',
      'src/engines/a.ts',
      "import type { Gateway } from '../gateway/gateway.ts';",
      /finished plan/,
    ],
    [
      'processes outside system',
      'src/sandbox/a.ts',
      "import { spawn } from 'node:child_process';",
      /may not hold node:child_process/,
    ],
    ['files in the policy', 'src/policy/a.ts', "import { readFileSync } from 'node:fs';", /may not hold node:fs/],
    ['sockets in the policy', 'src/policy/a.ts', "import { connect, isIP } from 'node:net';", /may not hold node:net/],
    ['the environment read in passing', 'src/cli/a.ts', 'const home = process.env.HOME;', /reads process\.env/],
    ['the environment read by index', 'src/cli/a.ts', "const home = process['env'].HOME;", /reads process\.env/],
    [
      'a part that builds on a later part',
      'src/gateway/http/a.ts',
      "import { relay } from '../exchange/relay.ts';",
      /gateway\/http may not build on gateway\/exchange/,
    ],
    [
      'a part that builds on what puts the parts together',
      'src/gateway/tls/a.ts',
      "import { createGateway } from '../create-gateway.ts';",
      /may not build on gateway\/create-gateway\.ts/,
    ],
    [
      'a part nobody knows',
      'src/policy/more/a.ts',
      "import { decide } from '../judging/decide.ts';",
      /not a folder of the table/,
    ],
    ['a folder nobody knows', 'src/helpers/a.ts', '', /not a folder of the table/],
  ])('name %s', (_, path, text, fault) => {
    expect(layerFaults([{ path, text }]).join('\n')).toMatch(fault);
  });

  test.each<[string, string, string]>([
    ['an import from above', 'src/cli/a.ts', "import { ids } from '../base/ids.ts';"],
    ['an address check anywhere', 'src/base/a.ts', "import { isIP } from 'node:net';"],
    ['an earlier part', 'src/gateway/exchange/a.ts', "import { fieldsOf } from '../http/fields.ts';"],
    ['words all parts have in common', 'src/gateway/http/a.ts', "import { refuse } from '../refusal.ts';"],
    ['the type of what a part is handed', 'src/gateway/http/a.ts', "import type { Run } from '../exchange/run.ts';"],
    ['a type of a socket', 'src/journal/a.ts', "import type { Socket } from 'node:net';"],
    ['what a comment says', 'src/base/a.ts', "// import x from '../cli/x.ts'; reads process.env"],
  ])('allow %s', (_, path, text) => {
    expect(layerFaults([{ path, text }])).toEqual([]);
  });
});

describe('what is loaded', () => {
  test('does not need itself again, not for a type either', () => {
    expect(circles(sources)).toEqual([]);
  });

  test('would be caught in a circle, but not for what is loaded later', () => {
    const files = [
      { path: 'src/a.ts', text: "import { b } from './b.ts';" },
      { path: 'src/b.ts', text: "import { c } from './c.ts';" },
      { path: 'src/c.ts', text: "import type { B } from './b.ts';\nvoid import('./a.ts');" },
    ];
    expect(circles(files)).toEqual([['src/b.ts', 'src/c.ts']]);
  });
});

describe('importsOf', () => {
  test('sees imports over several lines, types, side effects and lazy ones', () => {
    const text =
      "import {\n  a,\n  type B,\n} from './a.ts';\nimport type { C } from './c.ts';\nimport './d.ts';\nexport * from './e.ts';\nvoid import('./f.ts');";
    expect(importsOf(text)).toEqual([
      { target: './a.ts', names: ['a'], kind: 'static' },
      { target: './c.ts', names: ['C'], kind: 'type' },
      { target: './d.ts', names: [], kind: 'static' },
      { target: './e.ts', names: [], kind: 'static' },
      { target: './f.ts', names: [], kind: 'dynamic' },
    ]);
  });
});

describe('the entry', () => {
  const loaded = [...loadedWith(sources, 'src/cli/main.ts')];

  test('loads no package and few files before it knows the command', () => {
    expect(loaded.filter((name) => !name.startsWith('src/') && !name.startsWith('node:'))).toEqual([]);
    // Rows of the command table are data, a file for each group of commands.
    expect(loaded.filter((name) => !name.startsWith('src/cli/table/')).length).toBeLessThanOrEqual(10);
  });

  test('would be caught loading a command', () => {
    const files = [
      { path: 'src/cli/main.ts', text: "import { run } from './commands/run.ts';" },
      { path: 'src/cli/commands/run.ts', text: "import { z } from 'zod';" },
    ];
    expect([...loadedWith(files, 'src/cli/main.ts')]).toContain('zod');
  });
});
