/** Which processes of the host are ended with containers: monitors of commands in these, and nobody else. */
import { expect, test } from 'vitest';

import { monitorsCommandOf } from '../../../src/engines/docker/podman-monitors.ts';

const gone = new Set(['a1', 'casemate-cm-1']);
const words = (changes: { program?: string; id?: string; name?: string; spec?: string } = {}): readonly string[] => [
  changes.program ?? '/usr/bin/conmon',
  '--api-version',
  '1',
  '-c',
  changes.id ?? 'a1',
  '-n',
  changes.name ?? 'casemate-cm-1',
  ...(changes.spec === undefined ? ['--exec-process-spec', '/run/spec'] : [changes.spec]),
];

test.each<[string, readonly string[], boolean]>([
  ['of a command in one of them', words(), true],
  ['by the id alone', words({ name: 'casemate-cm-2' }), true],
  ['by the name alone', words({ id: 'b2' }), true],
  ['of another container', words({ id: 'b2', name: 'casemate-cm-2' }), false],
  ['of a name that only begins so', words({ id: 'b2', name: 'casemate-cm-11' }), false],
  ['of the container itself', words({ spec: '--exit-delay' }), false],
  ['of another program', words({ program: '/usr/bin/conmonster' }), false],
  ['of nothing', [], false],
])('a monitor %s', (_, given, isOurs) => {
  expect(monitorsCommandOf(given, gone)).toBe(isOurs);
});
