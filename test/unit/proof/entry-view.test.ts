/** What confines a process that came into a sandbox, where not all of it may be looked at. */
import { expect, test } from 'vitest';

import { withNamespaces, type EntryView } from '../../../src/proof/outside/entry-view.ts';

test('the engine tells of namespaces that cannot be looked at, and of no others', () => {
  const shared = { 'net namespace': '', 'pid namespace': 'pid:[1]', 'ipc namespace': '', Seccomp: '' };
  const view: EntryView = { shared, own: {}, descriptors: [], hostTerminals: [], hasTerminal: false, variables: [] };
  expect(withNamespaces(view, { net: 'net:[2]', pid: 'pid:[9]', Seccomp: '2' }).shared).toEqual({
    ...shared,
    'net namespace': 'net:[2]',
  });
});
