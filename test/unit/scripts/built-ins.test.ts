/** The built program takes Node's own modules without reading all they have. */
import { describe, expect, it } from 'vitest';

import { takeBuiltIns } from '../../../scripts/built-ins.mjs';

describe('imports of Node’s own modules in the bundle', () => {
  it.each([
    ['import { join } from "node:path";', 'const { join } = globalThis.process.getBuiltinModule("node:path");'],
    [
      'import { constants as constants$1, openSync } from "node:fs";',
      'const { constants: constants$1, openSync } = globalThis.process.getBuiltinModule("node:fs");',
    ],
    [
      'import { readFile } from "node:fs/promises";',
      'const { readFile } = globalThis.process.getBuiltinModule("node:fs/promises");',
    ],
    ['import * as net from "node:net";', 'const net = globalThis.process.getBuiltinModule("node:net");'],
    ['import $1 from "node:crypto";', 'const $1 = globalThis.process.getBuiltinModule("node:crypto");'],
    // As the MCP SDK has it: by its short name the constant would be read before it is there.
    ['import process from "node:process";', 'const process = globalThis.process.getBuiltinModule("node:process");'],
  ])('%s is taken by name only', (statement, taken) => {
    expect(takeBuiltIns(`a();\n${statement}\nb();`)).toBe(`a();\n${taken}\nb();`);
  });

  it('leaves other imports and imports at run time alone', () => {
    const code = 'import { a } from "./core.js";\nconst m = await import("node:sqlite");\n';
    expect(takeBuiltIns(code)).toBe(code);
  });

  it('stops the build at a form that it does not know', () => {
    expect(() => takeBuiltIns('import fs, { readFile } from "node:fs";')).toThrow('not foreseen');
  });
});
