import type { Mutant } from './mutant.ts';

/** Images by digest, runtimes by version (G25). */
export const imageMutants: readonly Mutant[] = [
  {
    name: 'image-files-unverified',
    weakens: 'a verification of an image does not compare its files with its digest',
    file: 'src/images/checks/verify.ts',
    find: '...(options.expected === undefined ? [] : [digestRow(manifest, options.expected)]),',
    replace: '...(options.expected === undefined ? [] : [digestRow(manifest, options.expected)].slice(1)),',
    caughtBy: ['images.changed'],
    needs: 'root',
  },
  {
    name: 'runtime-floor-off',
    weakens: 'a runtime with known flaws is taken',
    file: 'src/engines/oci/runtime-floors.ts',
    find: '  if (blocking.length > 0) {',
    replace: '  if (blocking.length > 1000) {',
    caughtBy: ['images.runtime-floor'],
  },
  {
    name: 'package-beside-the-program',
    weakens: 'a program of whatever origin counts as that of the installed package',
    file: 'src/engines/oci/runtimes.ts',
    find: '  if (!(await isOfPackage(name, host))) {',
    replace: '  if (!(await isOfPackage(name, host)) && name.length === 0) {',
    caughtBy: ['images.runtime-floor'],
  },
];
