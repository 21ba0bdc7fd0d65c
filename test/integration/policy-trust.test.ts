/** What a project's policy asks for holds after a person approved this very content, and not otherwise. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { createCalls } from '../../src/daemon/calls.ts';
import type { Question } from '../../src/daemon/protocol.ts';
import type { CallContext, Calling } from '../../src/daemon/server.ts';
import { createTimers } from '../../src/daemon/timers.ts';
import { sandboxLab, type Lab } from '../helpers/sandbox-lab.ts';

let lab: Lab;
let calls: Calling;
let project: string;

const opens = (host: string) => `version: 1\nnetwork:\n  - host: ${host}\n`;
const write = async (text: string) => await writeFile(join(project, 'casemate.yaml'), text);

/** A caller that answers so; `undefined`: one that has gone. */
function caller(answer: (question: Question) => unknown): CallContext & { readonly asked: readonly Question[] } {
  const asked: Question[] = [];
  return {
    asked,
    progress: () => undefined,
    onLost: () => undefined,
    async ask(question) {
      asked.push(question);
      return await answer(question);
    },
  };
}

beforeEach(async () => {
  lab = await sandboxLab();
  project = join(lab.root, 'project');
  await mkdir(project);
  await write(opens('one.example.com'));
  const { context, sandboxes } = lab;
  const timers = createTimers({ context, sandboxes, log: () => undefined });
  calls = createCalls({
    context,
    sandboxes,
    timers,
    status: () => {
      throw new Error('not asked');
    },
    shutdown: async () => [],
  });
});

afterEach(async () => {
  await lab.remove();
});

const approvals = () => lab.records.filter((record) => record.action === 'policy.trust').length;

describe('a project policy that grants something', () => {
  it.each<[string, unknown]>([
    ['says no', false],
    ['has gone', undefined],
    ['says anything but yes', 'yes'],
  ])('starts nothing where the caller %s', async (_, answer) => {
    await expect(
      calls.create(
        { cwd: project, name: 'work' },
        caller(() => answer),
      ),
    ).rejects.toMatchObject({ code: 'POLICY_UNTRUSTED' });
    expect([lab.sandboxes.list(), lab.journal()]).toEqual([[], []]);
  });

  it('holds after one yes, which the journal has, until the file or what it grants changes', async () => {
    const yes = caller(() => true);
    await calls.create({ cwd: project, name: 'one' }, yes);
    await calls.create({ cwd: project, name: 'two' }, yes);
    expect(yes.asked).toEqual([
      { kind: 'trust', path: join(project, 'casemate.yaml'), grants: ['reaches one.example.com on port 443'] },
    ]);
    expect(approvals()).toBe(1);
    await write(`${opens('one.example.com')}# changed\n`);
    await expect(
      calls.create(
        { cwd: project, name: 'three' },
        caller(() => false),
      ),
    ).rejects.toMatchObject({ code: 'POLICY_UNTRUSTED' });
    await write(opens('one.example.com'));
    await calls.create(
      { cwd: project, name: 'three' },
      caller(() => false),
    );
  });

  it('starts with what was shown, though the file changes while a person reads', async () => {
    const slow = caller(async () => {
      await write(opens('evil.example.com'));
      return true;
    });
    await calls.create({ cwd: project, name: 'work' }, slow);
    const { plan } = await calls.inspect({ name: 'work' }, slow);
    expect(plan.network.rules.map((rule) => rule.host.host)).toEqual(['one.example.com']);
    await expect(
      calls.create(
        { cwd: project, name: 'next' },
        caller(() => false),
      ),
    ).rejects.toMatchObject({ code: 'POLICY_UNTRUSTED' });
  });

  it('is not approved by `policy trust` when it changed since its grants were shown', async () => {
    const nobody = caller(() => undefined);
    const shown = await calls['trust-list']({ cwd: project }, nobody);
    await write(opens('evil.example.com'));
    await expect(calls.trust({ cwd: project, hash: shown.hash ?? '' }, nobody)).rejects.toMatchObject({
      code: 'POLICY_UNTRUSTED',
    });
    const again = await calls['trust-list']({ cwd: project }, nobody);
    expect([again.approved, approvals()]).toEqual([false, 0]);
    expect(await calls.trust({ cwd: project, hash: again.hash ?? '' }, nobody)).toMatchObject({ approved: true });
    expect((await calls['trust-list']({ cwd: project }, nobody)).approved).toBe(true);
  });

  it('is approved by nobody where the journal cannot be written', async () => {
    lab.failing.add('journal:policy.trust');
    await expect(
      calls.create(
        { cwd: project, name: 'work', trust: true },
        caller(() => true),
      ),
    ).rejects.toMatchObject({ code: 'JOURNAL_UNWRITABLE' });
    expect(
      (
        await calls['trust-list'](
          { cwd: project },
          caller(() => true),
        )
      ).approved,
    ).toBe(false);
  });

  it('counts in the folder it lies in, and not in another with the same content', async () => {
    await calls.create(
      { cwd: project, name: 'one', trust: true },
      caller(() => false),
    );
    project = join(lab.root, 'other');
    await mkdir(project);
    await write(opens('one.example.com'));
    await expect(
      calls.create(
        { cwd: project, name: 'two' },
        caller(() => false),
      ),
    ).rejects.toMatchObject({ code: 'POLICY_UNTRUSTED' });
  });
});

describe('calls', () => {
  const nobody = caller(() => undefined);
  const run = (command: readonly string[]) => ({ cwd: project, command, keep: false, tty: false, trust: true });

  it('leave nothing of a run whose start or command fails', async () => {
    for (const step of ['engine.create', 'engine.start', 'engine.attach', 'journal:exec.start']) {
      lab.failing.add(step);
      await expect(calls.run(run(['sh']), nobody)).rejects.toThrow(`${step} fails`);
      lab.failing.clear();
      expect([lab.sandboxes.list(), [...lab.served.keys()], lab.context.held.size]).toEqual([[], [], 0]);
    }
  });

  it('end the command of a caller that has gone before it was answered', async () => {
    const gone: CallContext = { ...nobody, onLost: (work) => work() };
    await calls.run(run(['sh']), gone);
    await expect.poll(() => lab.sandboxes.list()).toEqual([]);
    expect(lab.journal().filter((line) => line.startsWith('exec.end'))).toEqual(['exec.end client-lost']);
  });

  it('say how things stand when a restart fails half-way, and another restart mends it', async () => {
    await calls.create({ cwd: project, name: 'work', trust: true }, nobody);
    await calls.start({ name: 'work' }, nobody);
    lab.failing.add('engine.create');
    await expect(calls.restart({ name: 'work' }, nobody)).rejects.toMatchObject({ code: 'ENGINE_FAILED' });
    expect(lab.store.find('work')?.state).toBe('stopped');
    lab.failing.clear();
    expect(await calls.restart({ name: 'work' }, nobody)).toMatchObject({ state: 'running' });
  });
});
