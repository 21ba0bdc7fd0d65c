import { expect, it } from 'vitest';

import { createCalls } from '../../../src/daemon/calls.ts';
import { createTimers } from '../../../src/daemon/timers.ts';
import { hashPlan } from '../../../src/sandbox/plan/plan.ts';
import type { Sandboxes } from '../../../src/sandbox/sandboxes.ts';
import { samplePlan, sandboxLab } from '../../helpers/sandbox-lab.ts';

it('a sandbox whose caller goes while it is made is of nobody, and removed', async () => {
  const lab = await sandboxLab();
  const lost: (() => void)[] = [];
  const plan = samplePlan();
  const hang = { up: true };
  const sandboxes: Sandboxes = {
    ...lab.sandboxes,
    prepare: async () => ({ plan, planHash: hashPlan(plan), agent: undefined, trust: undefined }),
    async make(prepared, options) {
      const row = await lab.sandboxes.make(prepared, options);
      (hang.up ? lost : []).forEach((work) => work());
      return row;
    },
  };
  const timers = createTimers({ context: lab.context, sandboxes, log: () => undefined });
  const parts = { context: lab.context, sandboxes, timers, status: async () => ({}) as never, shutdown: async () => [] };
  const call = { ask: async () => undefined, progress: () => undefined, onLost: (work: () => void) => void lost.push(work) };
  await expect(createCalls(parts).create({ cwd: '/' }, call)).rejects.toThrow('the caller has gone');
  expect(lab.store.list()).toEqual([]);
  expect(lab.journal()).toEqual(['sandbox.create ok', 'sandbox.destroy client-lost']);
  hang.up = false;
  const { id } = await createCalls(parts).create({ cwd: '/' }, call);
  lost.forEach((work) => work());
  expect(lab.store.list().map((row) => row.id)).toEqual([id]);
  await lab.remove();
});
