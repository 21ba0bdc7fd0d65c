/** Sandboxes of single servers live with the one whose agent uses them: made, started, stopped and removed with it, and never alone. */
import { describe, expect, it } from 'vitest';

import type { SandboxId } from '../../src/base/ids.ts';
import { companionsOf, serverOf } from '../../src/sandbox/life/companions.ts';
import { reconcile } from '../../src/sandbox/life/reconcile.ts';
import { call, sandboxLab, type Lab } from '../helpers/sandbox-lab.ts';

const servers = ['docs', 'tracker'];

async function withLab(work: (lab: Lab) => Promise<void>, share?: Parameters<typeof sandboxLab>[0]): Promise<void> {
  const lab = await sandboxLab(share);
  try {
    await work(lab);
  } finally {
    await lab.remove();
  }
}

const states = ({ store }: Lab): readonly string[] =>
  store
    .list()
    .map((row) => `${serverOf(row) ?? 'session'} ${row.state}`)
    .toSorted();
const stands = ({ store }: Lab, parent: SandboxId | undefined): boolean =>
  parent === undefined || store.find(parent)?.state === 'running';
const each = (state: string): readonly string[] => ['docs', 'session', 'tracker'].map((name) => `${name} ${state}`);

describe('companions', () => {
  it('are made, started, stopped and removed with their session, and belong to its caller', async () => {
    await withLab(async (lab) => {
      const session = await lab.make({ name: 'work', caller: 'agent', servers });
      expect(states(lab)).toEqual(each('created'));
      expect(companionsOf(lab.store, session.id).every(({ caller }) => caller === 'agent')).toBe(true);
      await lab.sandboxes.start('work', call);
      expect(states(lab)).toEqual(each('running'));
      expect(lab.served.size).toBe(3);
      await lab.sandboxes.stop('work', call);
      expect(states(lab)).toEqual(each('stopped'));
      expect(lab.served.size).toBe(0);
      await lab.sandboxes.start('work', call);
      await lab.sandboxes.destroy('work', call);
      expect(lab.store.list()).toEqual([]);
      expect(await lab.engine.list(lab.store.ownerId)).toEqual([]);
      const made = lab.records.filter(({ action, detail }) => action === 'sandbox.create' && detail?.['of'] === session.id);
      expect(made.map(({ detail }) => String(detail?.['server'])).toSorted()).toEqual(servers);
    });
  });

  it('do not run where their session does not: a start that fails takes them back', async () => {
    await withLab(async (lab) => {
      const session = await lab.make({ name: 'work', servers });
      const one = companionsOf(lab.store, session.id).find((row) => serverOf(row) === 'docs');
      lab.failing.add('store:running');
      await expect(lab.sandboxes.start('work', call)).rejects.toThrow();
      lab.failing.clear();
      expect(states(lab).filter((text) => text.endsWith('running'))).toEqual([]);
      await expect(lab.sandboxes.start(one?.id ?? '', call)).rejects.toThrow('which does not run');
      await lab.sandboxes.start('work', call);
      expect(states(lab)).toEqual(each('running'));
    });
  });

  it('are started again alone where one died and its session goes on', async () => {
    await withLab(async (lab) => {
      const session = await lab.make({ name: 'work', servers });
      await lab.sandboxes.start('work', call);
      const one = companionsOf(lab.store, session.id).find((row) => serverOf(row) === 'docs');
      await lab.engine.stop(one?.id ?? '', { graceMs: 0 });
      await lab.sandboxes.settle(one?.id ?? '');
      expect(states(lab)).toEqual(['docs stopped', 'session running', 'tracker running']);
      await lab.sandboxes.start(one?.id ?? '', call);
      expect(states(lab)).toEqual(each('running'));
    });
  });

  it('take their places among all that may run and that a caller may have', async () => {
    await withLab(
      async (lab) => {
        await expect(lab.sandboxes.room.enter({ caller: 'agent', runs: false, count: 6 })).rejects.toThrow('and this is 6');
        const place = await lab.sandboxes.room.enter({ caller: 'agent', runs: false, count: 3 });
        await lab.make({ name: 'work', caller: 'agent', place, servers });
        place.leave();
        await lab.sandboxes.start('work', call);
        await expect(lab.sandboxes.room.enter({ caller: 'agent', runs: false, count: 3 })).rejects.toThrow(
          'you have 3 sandboxes',
        );
        await lab.make({ name: 'more', servers: ['docs'] });
        await expect(lab.sandboxes.start('more', call)).rejects.toThrow('as many sandboxes run as may, 3 of 4, and this is 2');
      },
      { running: 4, eachCaller: 5 },
    );
  });

  const steps = [
    ...['create', 'ingress', 'start', 'stop', 'remove'].map((step) => `engine.${step}`),
    ...['attach', 'detach'].map((step) => `gateway.${step}`),
    ...['create', 'start', 'stop', 'destroy'].map((step) => `journal:sandbox.${step}`),
    ...['starting', 'running', 'stopping', 'stopped', 'removing', 'gone'].map((state) => `store:${state}`),
  ];

  /** The third who comes to the step fails there, and all after: its servers are through, and the session is not. */
  const failAt = (lab: Lab, step: string): void => {
    let left = 2;
    lab.failing.has = (name) => {
      left -= name === step ? 1 : 0;
      return name === step && left < 0;
    };
  };

  it.each(steps)('are left without an owner by no fault, here at %s, once the next daemon has looked', async (step) => {
    await withLab(async (lab) => {
      const work: readonly (() => Promise<unknown>)[] = [
        async () => await lab.make({ name: 'work', servers }),
        async () => await lab.sandboxes.start('work', call),
        async () => await lab.sandboxes.stop('work', call),
        async () => await lab.sandboxes.start('work', call),
        async () => await lab.sandboxes.destroy('work', call),
      ];
      for (const [index, one] of work.entries()) {
        failAt(lab, step);
        await one().catch(() => undefined);
        lab.failing.has = () => false;
        await reconcile({ ...lab.context, held: new Map(), gateway: lab.context.gateway }, lab.again().executions);
        const rows = lab.store.list();
        const running = (await lab.engine.list(lab.store.ownerId)).filter(({ state }) => state === 'running').map(({ id }) => id);
        const owned = rows.filter(({ state, parent }) => state === 'running' && stands(lab, parent)).map(({ id }) => id);
        expect(running.toSorted(), `${step} in step ${index}`).toEqual([...owned].toSorted());
        expect(rows.filter(({ parent }) => parent !== undefined && lab.store.find(parent) === undefined)).toEqual([]);
        // From here on as if nothing had been.
        await one().catch(() => undefined);
      }
      await lab.sandboxes.destroy('work', call).catch(() => undefined);
      expect(lab.store.list()).toEqual([]);
      expect(await lab.engine.list(lab.store.ownerId)).toEqual([]);
    });
  });

  it('are ended by the next daemon where their session is gone or does not run', async () => {
    await withLab(async (lab) => {
      const session = await lab.make({ name: 'work', servers });
      await lab.sandboxes.start('work', call);
      // As if it had died between the first and the last of a stop.
      await lab.engine.stop(session.id, { graceMs: 0 });
      await reconcile({ ...lab.context, held: new Map() }, lab.again().executions);
      expect(states(lab)).toEqual(each('stopped'));
      await lab.sandboxes.start('work', call);
      lab.store.move(session.id, { state: 'removing', reason: 'asked' });
      const { faults } = await reconcile({ ...lab.context, held: new Map() }, lab.again().executions);
      expect(faults).toEqual([]);
      expect(lab.store.list()).toEqual([]);
      expect(await lab.engine.list(lab.store.ownerId)).toEqual([]);
    });
  });
});
