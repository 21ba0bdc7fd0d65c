import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { newSandboxId } from '../../../src/base/ids.ts';
import { listOrphans, reapOrphans } from '../../../src/sandbox/life/orphans.ts';
import { call, sandboxLab, type Lab } from '../../helpers/sandbox-lab.ts';

describe('what nobody will come back for', () => {
  let lab: Lab;

  beforeEach(async () => {
    lab = await sandboxLab();
  });
  afterEach(async () => {
    await lab.remove();
  });

  const stray = async (): Promise<string> => {
    const known = await lab.make({ name: 'pattern' });
    await lab.sandboxes.start('pattern', call);
    const id = newSandboxId();
    const spec = lab.engine.spec(known.id);
    if (spec === undefined) {
      throw new Error('the engine has no spec');
    }
    await lab.engine.create({ ...spec, id });
    await lab.sandboxes.destroy('pattern', call);
    return id;
  };
  const stopped = async (name: string, caller: string, reason: string, policy = ''): Promise<void> => {
    await lab.make({ name, caller, policy });
    await lab.sandboxes.start(name, call);
    await lab.sandboxes.stop(name, { ...call, reason });
  };
  const reap = async (ids: readonly string[]) => await reapOrphans(lab.context, lab.sandboxes, { ids, actor: 'user:1' });
  const names = async () => (await listOrphans(lab.context)).map(({ name, why }) => `${name} ${why}`);

  it('is listed with a reason, and nothing that somebody has', async () => {
    const id = await stray();
    await stopped('over', 'ada', 'idle', 'limits: { time: 1h }');
    lab.pass(3_600_000);
    await stopped('revoked', 'ada', 'caller-revoked');
    await stopped('idle', 'ada', 'idle');
    await lab.make({ name: 'mine' });
    await lab.make({ name: 'used', caller: 'ada' });
    await lab.sandboxes.start('used', call);
    lab.leave({ state: 'running', ephemeral: true, client: { pid: 1, startTicks: '1' } });
    const left = expect.stringMatching(/^left-[0-9a-f]+ client-lost$/);
    expect(await names()).toHaveLength(4);
    expect(await names()).toEqual(expect.arrayContaining([`${id} stray`, left, 'over expired', 'revoked caller-gone']));
  });

  it('is removed as it was shown, and nothing else', async () => {
    const id = await stray();
    await stopped('revoked', 'ada', 'caller-revoked');
    await stopped('later', 'ada', 'caller-revoked');
    const shown = (await listOrphans(lab.context)).filter(({ name }) => name !== 'later').map((orphan) => orphan.id);
    await lab.make({ name: 'mine' });
    const more = [...shown, lab.store.find('mine')?.id ?? '', 'cm-none', '../x'];
    expect((await reap(more)).removed.map(({ name }) => name)).toEqual([id, 'revoked']);
    expect(lab.store.list()).toHaveLength(2);
    expect(lab.store.list().map(({ name }) => name)).toEqual(expect.arrayContaining(['later', 'mine']));
    expect(lab.journal()).toContain('sandbox.reap stray');
    expect(await lab.engine.list(lab.store.ownerId)).toHaveLength(0);
  });

  it('does not keep the others where one cannot be removed', async () => {
    const id = await stray();
    await stopped('revoked', 'ada', 'caller-revoked');
    lab.failing.add('engine.remove');
    const { removed, faults } = await reap((await listOrphans(lab.context)).map((orphan) => orphan.id));
    expect(removed).toEqual([]);
    expect(faults).toHaveLength(2);
    lab.failing.clear();
    expect(await names()).toContain(`${id} stray`);
  });
});
