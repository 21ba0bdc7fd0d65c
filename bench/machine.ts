/** What a machine is, as far as it matters to somebody who compares results. */
import { readFileSync } from 'node:fs';
import { arch, cpus, release, totalmem } from 'node:os';

import { formatBytes } from '../src/base/units.ts';

export function machine(): Readonly<Record<string, string | number>> {
  return {
    processor: cpus()[0]?.model ?? 'unknown',
    processors: cpus().length,
    architecture: arch(),
    memory: formatBytes(totalmem()),
    kernel: release(),
    system: /^PRETTY_NAME="(.*)"$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'unknown',
    node: process.versions.node,
  };
}
