/** After a daemon died: whatever it left, the next one settles, and the journal tells of each change. */
import { mkdir, writeFile } from 'node:fs/promises';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import type { SandboxId } from '../../src/base/ids.ts';
import type { JournalEntry } from '../../src/journal/record.ts';
import { sandboxFolder } from '../../src/sandbox/host-files/folder.ts';
import { reconcile } from '../../src/sandbox/life/reconcile.ts';
import { specOf, sandboxFolders } from '../../src/sandbox/plan/spec.ts';
import { sandboxStates } from '../../src/sandbox/stored/store.ts';
import { identifyProcess, type ProcessIdentity } from '../../src/system/process-identity.ts';
import { accountFaults, type Line } from '../faults/accounts.ts';
import { call, samplePlan, sandboxLab, type Lab } from '../helpers/sandbox-lab.ts';

const alive = await identifyProcess(process.pid);
const dead: ProcessIdentity = { pid: process.pid, startTicks: '1' };

interface Left {
  readonly state: (typeof sandboxStates)[number];
  readonly inEngine: 'created' | 'running' | 'stopped' | undefined;
  readonly ephemeral: boolean;
  readonly clientLives: boolean;
  readonly hasAuthority: boolean;
  /** The step that was under way had been recorded. */
  readonly onRecord: boolean;
  readonly commands: readonly LeftCommand[];
}

interface LeftCommand {
  readonly callerLives: boolean;
  /** the caller had been told how to start it */
  readonly isTold: boolean;
  readonly onRecord: 'nothing' | 'start' | 'end';
}

/** What the journal says of a sandbox before the step that was under way, and that step. */
const histories: Readonly<Record<string, readonly [before: readonly string[], step: string | undefined]>> = {
  creating: [[], 'create'],
  created: [['create'], undefined],
  starting: [['create'], 'start'],
  running: [['create', 'start'], undefined],
  stopping: [['create', 'start'], 'stop'],
  stopped: [['create', 'start', 'stop'], undefined],
  removing: [['create'], 'destroy'],
};

const anyLeft = fc.record<Left>({
  state: fc.constantFrom(...sandboxStates.filter((state) => state !== 'gone')),
  inEngine: fc.constantFrom('created', 'running', 'stopped', undefined),
  ephemeral: fc.boolean(),
  clientLives: fc.boolean(),
  hasAuthority: fc.boolean(),
  onRecord: fc.boolean(),
  commands: fc.array(
    fc.record<LeftCommand>({
      callerLives: fc.boolean(),
      isTold: fc.boolean(),
      onRecord: fc.constantFrom('nothing', 'start', 'end'),
    }),
    { maxLength: 2 },
  ),
});

async function put(lab: Lab, left: Left): Promise<SandboxId> {
  const { state, inEngine, ephemeral, clientLives, hasAuthority, onRecord, commands } = left;
  const client = clientLives ? alive : dead;
  const id = lab.leave({ state, ephemeral, client });
  const [before, step] = histories[state] ?? [[], undefined];
  for (const action of [...before, ...(onRecord && step !== undefined ? [step] : [])]) {
    record(lab, id, `sandbox.${action}`);
  }
  if (inEngine !== undefined) {
    await putInEngine(lab, id, inEngine);
  }
  const folder = sandboxFolder(lab.context.paths, id);
  await mkdir(folder, { mode: 0o700 });
  if (hasAuthority) {
    const { authorityCertificate, authorityKey } = sandboxFolders(folder);
    await writeFile(authorityCertificate, 'certificate');
    await writeFile(authorityKey, 'key');
  }
  const mayHaveCommands = ['running', 'stopping', 'removing'].includes(state);
  (mayHaveCommands ? commands : []).forEach((command, index) =>
    putCommand(lab, id, { ...command, execution: `ex-${id.slice(3, 18)}${index}` }),
  );
  return id;
}

function putCommand(
  lab: Lab,
  sandbox: SandboxId,
  { callerLives, isTold, onRecord, execution }: LeftCommand & { execution: string },
): void {
  const told = { file: 'true', args: [], env: {}, pidFile: '/nonexistent', errorLog: '/nonexistent' };
  const invocation = isTold ? told : undefined;
  const known = { id: execution, sandbox, invocation, actor: 'user:1', subject: 'sh', startedMs: 1 };
  lab.store.beginExecution({ ...known, client: callerLives ? alive : dead });
  if (onRecord !== 'nothing') {
    record(lab, sandbox, 'exec.start', { execution });
  }
  if (onRecord === 'end') {
    record(lab, sandbox, 'exec.end', { execution });
  }
}

function record(lab: Lab, sandbox: SandboxId, action: string, detail: JournalEntry['detail'] = {}): void {
  lab.records.push({ sandbox, actor: 'daemon', action, subject: 'x', decision: 'none', outcome: 'ok', detail });
}

async function putInEngine(lab: Lab, id: string, state: 'created' | 'running' | 'stopped'): Promise<void> {
  const facts = { id, owner: lab.store.ownerId, name: 'x', rootfs: '/r', folder: '/f', phantoms: {} };
  await lab.engine.create(specOf(samplePlan(), facts));
  if (state !== 'created') {
    await lab.engine.start(id);
  }
  if (state === 'stopped') {
    await lab.engine.stop(id);
  }
}

/** Every promise, for every sandbox that was left. */
async function check(lab: Lab, before: readonly (Left & { readonly id: SandboxId })[]): Promise<void> {
  const inEngine = new Map((await lab.engine.list(lab.store.ownerId)).map((entry) => [entry.id, entry.state]));
  for (const left of before) {
    const { id, state, ephemeral, clientLives, onRecord } = left;
    const now = lab.store.find(id)?.state ?? 'gone';
    expect(['created', 'running', 'stopped', 'gone']).toContain(now);
    // Runs, is served and is known to run: all or nothing.
    expect([inEngine.has(id), lab.served.has(id), lab.context.held.has(id)]).toEqual([
      now === 'running',
      now === 'running',
      now === 'running',
    ]);
    if (ephemeral && !clientLives) {
      expect(now).toBe('gone');
    }
    if (now === 'running') {
      expect(state).toBe('running');
    }
    if (state === 'creating' && !onRecord) {
      expect(now).toBe('gone');
    }
  }
  // What is at rest is in no engine; where it is all the same, it is ended, and that is told.
  const atRest = ['creating', 'created', 'stopped'];
  const usual = before.filter((left) => left.inEngine === undefined || !atRest.includes(left.state));
  const isUsual = (sandbox: string | undefined): boolean => usual.some(({ id }) => id === sandbox);
  const records = lab.records.filter(({ sandbox }) => isUsual(sandbox));
  const lines = records.map((entry, index): Line => ({ ...entry, seq: index + 1, time: '' }) as Line);
  const standings = usual.map(({ id }) => ({ id, name: id, state: lab.store.find(id)?.state ?? 'gone' }));
  expect(accountFaults(lines, standings)).toEqual([]);
  expect(lab.openIngresses.size).toBe(lab.served.size);
  const open = lab.store.openExecutions();
  for (const execution of open) {
    expect([lab.store.find(execution.sandbox)?.state, execution.client]).toEqual(['running', alive]);
  }
}

describe('reconcile', () => {
  it('settles every combination of what was written down, what runs and who is left', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyLeft, { minLength: 1, maxLength: 6 }), async (rows) => {
        const lab = await sandboxLab();
        try {
          const before = [];
          for (const row of rows) {
            before.push({ ...row, id: await put(lab, row) });
          }
          const { faults } = await reconcile(lab.context, lab.sandboxes.executions);
          expect(faults.filter((fault) => !fault.includes('authority is gone'))).toEqual([]);
          await check(lab, before);
          // A second look finds nothing to do but what it serves already.
          const settled = lab.records.length;
          const second = await reconcile({ ...lab.context, held: new Map() }, lab.again().executions);
          expect([second.stopped, second.removed, lab.records.length - settled]).toEqual([[], [], second.adopted.length]);
        } finally {
          await lab.remove();
        }
      }),
      { numRuns: 150 },
    );
  });

  it('removes a container of ours that nobody wrote down, and leaves those of others', async () => {
    const lab = await sandboxLab();
    await putInEngine(lab, 'cm-00000000000000aa', 'running');
    const facts = { id: 'cm-00000000000000bb', owner: 'own-other', name: 'x', rootfs: '/r', folder: '/f', phantoms: {} };
    await lab.engine.create(specOf(samplePlan(), facts));
    expect(await reconcile(lab.context, lab.sandboxes.executions)).toMatchObject({
      removed: ['cm-00000000000000aa'],
      faults: [],
    });
    expect(lab.journal()).toEqual(['sandbox.reap stray']);
    expect([lab.engine.spec('cm-00000000000000aa'), lab.engine.spec('cm-00000000000000bb')?.owner]).toEqual([
      undefined,
      'own-other',
    ]);
    await lab.remove();
  });

  it('lets no bad sandbox keep the others from being taken back', async () => {
    const lab = await sandboxLab();
    const row = {
      state: 'running',
      inEngine: 'running',
      ephemeral: false,
      clientLives: true,
      hasAuthority: true,
      onRecord: true,
      commands: [],
    } as const;
    const bad = await put(lab, { ...row, state: 'stopping', inEngine: undefined });
    const good = await put(lab, row);
    lab.failing.add('engine.stop');
    const { adopted, faults } = await reconcile(lab.context, lab.sandboxes.executions);
    expect(adopted).toEqual([lab.store.find(good)?.name]);
    expect(faults).toEqual([expect.stringContaining('engine.stop fails')]);
    expect(lab.store.find(bad)?.state).toBe('stopping');
    await lab.remove();
  });

  it('stops a sandbox whose gateway cannot be had back, with its listeners closed', async () => {
    for (const step of ['engine.ingress', 'gateway.attach']) {
      const lab = await sandboxLab();
      const row = {
        state: 'running',
        inEngine: 'running',
        ephemeral: false,
        clientLives: true,
        hasAuthority: true,
        onRecord: true,
        commands: [{ callerLives: true, isTold: true, onRecord: 'start' }],
      } as const;
      const id = await put(lab, row);
      lab.failing.add(step);
      expect(await reconcile(lab.context, lab.sandboxes.executions)).toMatchObject({
        stopped: [lab.store.find(id)?.name],
        faults: [expect.stringContaining(step)],
      });
      expect([lab.store.find(id)?.state, lab.openIngresses.size, lab.store.openExecutions()]).toEqual(['stopped', 0, []]);
      await lab.remove();
    }
  });

  it('does not serve where the journal cannot be written', async () => {
    const lab = await sandboxLab();
    const row = {
      state: 'running',
      inEngine: 'running',
      ephemeral: false,
      clientLives: true,
      hasAuthority: true,
      onRecord: true,
      commands: [],
    } as const;
    await put(lab, row);
    lab.failing.add('journal:sandbox.adopt');
    await expect(reconcile(lab.context, lab.sandboxes.executions)).rejects.toMatchObject({ code: 'JOURNAL_UNWRITABLE' });
    expect([lab.served.size, lab.openIngresses.size]).toEqual([0, 0]);
    await lab.remove();
  });

  it('keeps what is at rest as it is, so that it starts again', async () => {
    const lab = await sandboxLab();
    const id = await put(lab, {
      state: 'stopped',
      inEngine: undefined,
      ephemeral: false,
      clientLives: false,
      hasAuthority: false,
      onRecord: true,
      commands: [],
    });
    await reconcile(lab.context, lab.sandboxes.executions);
    expect(lab.journal()).toHaveLength(3);
    expect((await lab.sandboxes.start(id, call)).state).toBe('running');
    await lab.remove();
  });
});
