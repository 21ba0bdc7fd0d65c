import type { Mutant } from './mutant.ts';

/** What Casemate prints of a sandbox (G19). */
export const terminalMutants: readonly Mutant[] = [
  {
    name: 'controls-not-made-visible',
    weakens: 'control characters of names and texts are printed as they are',
    file: 'src/base/text.ts',
    find: '  return text.replace(unsafe, (character) => {',
    replace: '  return text.length > 0 ? text : text.replace(unsafe, (character) => {',
    caughtBy: ['terminal.own-lines'],
  },
  {
    name: 'json-with-controls',
    weakens: 'JSON for a program is printed with 8-bit controls as they are, also at a terminal',
    file: 'src/cli/printing/output.ts',
    find: 'terminalSafeJson(JSON.stringify(value, undefined, 2))',
    replace: 'JSON.stringify(value, undefined, 2)',
    caughtBy: ['terminal.own-lines'],
  },
  {
    name: 'repository-names-raw',
    weakens: 'names of new repositories are printed as they are',
    file: 'src/cli/session/tell-end.ts',
    find: ".map(visible).join(', ')}${more}`",
    replace: ".join(', ')}${more}`",
    caughtBy: ['terminal.own-lines'],
  },
  {
    name: 'logs-raw',
    weakens: 'kept output is printed as it was',
    file: 'src/sandbox/commands/kept-output.ts',
    find: "visibleLines(bytes.toString('utf8'))",
    replace: "bytes.toString('utf8')",
    caughtBy: ['terminal.own-lines'],
  },
];
