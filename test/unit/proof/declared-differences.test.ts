import { expect, test } from 'vitest';

import { withDeclared } from '../../../src/proof/declared-differences.ts';
import { attack } from '../../../src/proof/finding.ts';
import type { Plan } from '../../../src/sandbox/plan/plan.ts';
import { samplePlan } from '../../helpers/sandbox-lab.ts';

const plan: Plan = { ...samplePlan(), engine: 'docker', waive: ['user-namespace'] };
const row = (what: string, seen = 'other') => attack(what, { expected: 'as planned', seen, ok: false });

test('a declared difference is as expected and says why; any other is not', () => {
  const [declared, other] = withDeclared([row('user namespace'), row('net namespace')], plan);
  expect(declared).toMatchObject({ ok: true, expected: expect.stringContaining("docker: containers have the host's ids") });
  expect(other).toEqual(row('net namespace'));
});

test('an ordinary user of Podman has one id more inside, where no user namespace is waived', () => {
  const ofUser: Plan = { ...plan, engine: 'podman', waive: [] };
  const ids = (count: string) => withDeclared([row('ids that are mapped', count)], ofUser)[0];
  expect(ids('65537')).toMatchObject({ ok: true });
  expect(ids('65538')).toMatchObject({ ok: false });
});

test('what an ordinary user shares with his sandboxes under Docker is a loss of his alone', () => {
  const pool = row('one for the host (inotify instances)', 'none');
  expect(withDeclared([pool], plan, 1000)).toMatchObject([{ ok: true }]);
  expect(withDeclared([pool], plan, 0)).toEqual([pool]);
});

test.each([
  ['of another engine', { ...plan, engine: 'oci' as const }, row('user namespace')],
  ['that a human has to accept and has not', { ...plan, waive: [] }, row('user namespace')],
  ['that goes further than was declared', plan, row('file systems in memory without a limit', '/dev, /tmp')],
  ['that is not below the covered folder', plan, row('file systems in memory without a limit', '/sys/firmware, /system')],
])('a difference %s breaks the guarantee', (_name, where, seen) => {
  expect(withDeclared([seen], where)).toEqual([seen]);
});
