/** The life of a sandbox, as steps: create, start, exec, stop, restart, destroy, run, and the end and beginning of the daemon. */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import type { ChildFault } from './child-faults.ts';
import { readStandings } from './look.ts';
import { amongThem } from './random-kill.ts';
import { box, claimFaults, must, succeeded, type Done, type Step } from './step.ts';
import type { Started, World } from './world.ts';

const create = async (world: World): Promise<void> => void (await must(world, ['create', box]));
const running = async (world: World): Promise<void> => {
  await create(world);
  await must(world, ['start', box]);
};
const stopped = async (world: World): Promise<void> => {
  await running(world);
  await must(world, ['stop', box]);
};

async function changePolicy(world: World, change: (text: string) => string): Promise<void> {
  const path = join(world.paths.config, 'policy.yaml');
  await writeFile(path, change(await readFile(path, 'utf8')));
}

function stateOf(world: World): string | undefined {
  return readStandings(world.paths.state).find(({ name, state }) => name === box && state !== 'gone')?.state;
}

/** What was reported is so; what was not is so or is not. */
function reportedState(
  world: World,
  done: Done,
  { state, action }: { state: string | undefined; action: string },
): readonly string[] {
  const isReported = succeeded(done.outcomes[0]);
  const now = stateOf(world);
  // A kill that came after the report and took the sandbox with it: the next daemon finds it stopped, and says so.
  const wasTaken = state === 'running' && now === 'stopped' && done.hits.some((hit) => hit.includes(amongThem));
  return [
    ...claimFaults(done.lines, [{ action, subject: box, isReported }]),
    ...(isReported && now !== state && !wasTaken ? [`${action} was reported, and "${box}" is ${now ?? 'gone'}`] : []),
  ];
}

/** What makes mounts and becomes the runtime, and what binds the listeners: one thread each. */
const stage: ChildFault = {
  program: 'perl',
  call: 'stage.pl',
  systemCalls:
    'mount,openat2,mkdirat,mknodat,fchownat,unshare,open_tree,move_mount,fsopen,fsconfig,fsmount,mount_setattr,clone,execve',
};
const listener: ChildFault = { program: 'perl', call: 'listen.pl', systemCalls: 'setns,socket,bind,listen,sendmsg,clone,write' };
const runtime = (call: string): ChildFault => ({
  program: 'runc',
  call: ` ${call} `,
  follows: true,
  systemCalls: 'execve,clone,mkdirat,write,mount,unshare,setns,pivot_root,renameat,unlinkat,sendmsg,prctl,kill,rmdir',
});

interface Simple {
  readonly prepare?: Step['prepare'];
  readonly args: readonly string[];
  /** of the sandbox afterwards */
  readonly state: string | undefined;
  readonly children?: readonly ChildFault[];
}

function simple(name: string, { prepare, args, state, children }: Simple): Step {
  return {
    name,
    role: 'daemon',
    prepare,
    children,
    act: async (world) => [await world.run(args)],
    check: (world, done) => reportedState(world, done, { state, action: `sandbox.${args[0]}` }),
  };
}

/** What a command printed must have come whole, and its end must be on record as it was. */
function commandFaults({ outcomes, lines }: Done, expected: string): readonly string[] {
  const [outcome] = outcomes;
  const isReported = succeeded(outcome);
  const end = lines.filter(({ action }) => action === 'exec.end');
  return [
    ...claimFaults(lines, [
      { action: 'exec.start', isReported },
      { action: 'exec.end', isReported },
    ]),
    ...(isReported && outcome?.out !== expected ? [`the command was reported and gave ${JSON.stringify(outcome?.out)}`] : []),
    ...(isReported && end.some(({ outcome: word }) => word !== 'exited')
      ? [`a command that ended by itself is on record as ${end[0]?.outcome}`]
      : []),
  ];
}

/** What the command of `run` made in the workspace; one that came to its end has removed it itself. */
function takenAway({ project }: World, hasEnded: boolean): readonly string[] {
  const made = join(project, 'made');
  const isLeft = existsSync(made);
  rmSync(made, { force: true });
  return isLeft && hasEnded ? ['a command was reported that had not come to its end'] : [];
}

/**
 * A throw-away sandbox goes by itself, but not at the instant its caller dies: what was being started comes up first, and while
 * it stands there and runs nothing else is wrong.
 */
async function notThrownAway(world: World): Promise<readonly string[]> {
  try {
    await until(() => stateOf(world) === undefined);
    return [];
  } catch {
    return [`a throw-away sandbox is still there, ${stateOf(world) ?? 'until just now'}`];
  }
}

const slowly = 'for i in 1 2 3 4 5 6; do echo $i; sleep 0.15; done';
const slowOut = '1\n2\n3\n4\n5\n6\n';

export const lifeSteps: readonly Step[] = [
  simple('create', { args: ['create', box], state: 'created' }),
  simple('start', { prepare: create, args: ['start', box], state: 'running' }),
  {
    // Of a kind that no container waits for.
    ...simple('start-unlike', { args: ['start', box], state: 'running', children: [stage, listener, runtime('run')] }),
    async prepare(world) {
      await changePolicy(world, (text) => `${text}limits: { pids: ${200 + (Math.floor(performance.now()) % 200)} }\n`);
      await create(world);
    },
    after: async (world) => await changePolicy(world, (text) => text.replace(/^limits:.*\n/m, '')),
  },
  simple('start-again', { prepare: stopped, args: ['start', box], state: 'running' }),
  simple('stop', { prepare: running, args: ['stop', box], state: 'stopped' }),
  simple('destroy', { prepare: running, args: ['destroy', box, '--confirm', box], state: undefined }),
  simple('destroy-stopped', { prepare: stopped, args: ['destroy', box, '--confirm', box], state: undefined }),
  {
    name: 'restart',
    role: 'daemon',
    prepare: running,
    act: async (world) => [await world.run(['restart', box])],
    check: (world, done) => [
      ...claimFaults(done.lines, [
        { action: 'sandbox.stop', subject: box, isReported: false },
        { action: 'sandbox.start', subject: box, isReported: succeeded(done.outcomes[0]) },
      ]).filter((fault) => !fault.startsWith('sandbox.stop')),
      ...(succeeded(done.outcomes[0]) && stateOf(world) !== 'running' ? ['a restart was reported, and it does not run'] : []),
    ],
  },
  {
    name: 'exec',
    role: 'daemon',
    prepare: running,
    act: async (world, nonce) => [await world.run(['exec', box, '--', 'sh', '-c', `echo ${nonce}; exit 0`])],
    check: (_, done) => commandFaults(done, `${done.nonce}\n`),
  },
  {
    name: 'exec-stream',
    role: 'daemon',
    prepare: running,
    children: [runtime('exec')],
    act: async (world) => [await world.run(['exec', box, '--', 'sh', '-c', slowly])],
    check: (_, done) => commandFaults(done, slowOut),
  },
  {
    name: 'run',
    role: 'daemon',
    // A command that was killed between its two writes leaves what it wrote: that is the person's, and no fault of ours.
    mayLeave: /^in the workspace and not before: made /,
    act: async (world, nonce) => [
      await world.run(['run', '--name', box, '--', 'sh', '-c', `echo ${nonce} > made; cat made; rm made`]),
    ],
    check: async (world, done) => [
      // First: whoever was told of the command's end may be told before the sandbox has gone, where the daemon is killed between.
      ...(await notThrownAway(world)),
      ...takenAway(world, succeeded(done.outcomes[0])),
      ...commandFaults(done, `${done.nonce}\n`),
      ...claimFaults(
        done.linesNow(),
        ['sandbox.create', 'sandbox.start', 'sandbox.destroy'].map((action) => ({
          action,
          subject: box,
          isReported: succeeded(done.outcomes[0]),
        })),
      ),
    ],
  },
  {
    name: 'run-caller',
    role: 'caller',
    act: async (world, nonce) => [await world.run(['run', '--name', box, '--', 'sh', '-c', `echo ${nonce}`])],
    check: async (world, done) => [...commandFaults(done, `${done.nonce}\n`), ...(await notThrownAway(world))],
  },
  {
    name: 'exec-caller',
    role: 'caller',
    prepare: running,
    act: async (world, nonce) => [await world.run(['exec', box, '--', 'sh', '-c', `echo ${nonce}; sleep 0.3; exit 0`])],
    check: (_, done) => commandFaults(done, `${done.nonce}\n`),
  },
  {
    name: 'fetch',
    role: 'daemon',
    prepare: running,
    act: async (world, nonce) => [
      await world.run(['exec', box, '--', 'curl', '-sS', '-m', '20', '--retry', '0', `https://sealed.example.com/n/${nonce}`]),
    ],
    check: (world, done) => fetchFaults(world, done),
  },
  {
    name: 'daemon-stop',
    role: 'daemon',
    prepare: running,
    act: async (world) => [await world.run(['daemon', 'stop', '--force'])],
    check: (_, done) =>
      claimFaults(done.lines, [
        { action: 'sandbox.stop', subject: box, isReported: done.outcomes[0]?.out.startsWith('stopped') === true },
      ]),
  },
  {
    name: 'daemon-stop-busy',
    role: 'daemon',
    async prepare(world) {
      await running(world);
      return await busyCommands(world);
    },
    act: async (world) => [await world.run(['daemon', 'stop', '--force'])],
  },
  {
    name: 'daemon-start',
    role: 'daemon',
    fromStart: true,
    prepare: async (world) => {
      await running(world);
      await killDaemon(world);
    },
    act: async (world) => [await world.run(['ls'])],
  },
  {
    name: 'daemon-first-start',
    role: 'daemon',
    fromStart: true,
    forgets: true,
    prepare: async (world) => {
      await must(world, ['daemon', 'stop', '--force']);
      await world.forgetState();
    },
    act: async (world) => [await world.run(['ls'])],
  },
  {
    name: 'daemon-start-half-made',
    role: 'daemon',
    fromStart: true,
    prepare: async (world) => {
      await running(world);
      const busy = await busyCommands(world);
      await killDaemon(world, () => busy.forEach(({ kill }) => kill()));
      await Promise.all(busy.map(({ ended }) => ended));
    },
    act: async (world) => [await world.run(['ls'])],
    check: (_, { lines }) =>
      claimFaults(
        lines.filter(({ outcome }) => outcome === 'client-lost' || outcome === 'interrupted'),
        [],
      ),
  },
  {
    name: 'two-callers',
    role: 'daemon',
    act: async (world) =>
      await Promise.all([world.run(['create', box]), world.run(['create', box]), world.run(['run', '--', 'true'])]),
    check: (_, done) =>
      done.outcomes.slice(0, 2).filter(succeeded).length > 1
        ? ['two callers made a sandbox of one name']
        : claimFaults(done.lines, [
            { action: 'sandbox.create', subject: box, isReported: done.outcomes.slice(0, 2).some(succeeded) },
          ]),
  },
];

/** A command in the sandbox, and one in a sandbox of its own. */
async function busyCommands(world: World): Promise<readonly Started[]> {
  const script = ['sh', '-c', 'echo begun; sleep 30'];
  const busy = [world.start(['exec', box, '--', ...script]), world.start(['run', '--', ...script])];
  await until(() => busy.every(({ out }) => out() !== ''));
  return busy;
}

/** A request that went out has one line that allowed it; its end is on record once, or not at all where a daemon died. */
function fetchFaults(world: World, { nonce, outcomes, lines }: Done): readonly string[] {
  const of = (action: string): number =>
    lines.filter((line) => line.action === action && line.detail?.['path'] === `/n/${nonce}`).length;
  const arrived = world.seen.filter(({ path }) => path === `/n/${nonce}`).length;
  const isReported = outcomes[0]?.out === 'hello\n';
  return [
    ...(arrived > of('net.open') ? [`${arrived} requests arrived and ${of('net.open')} were recorded before`] : []),
    ...(of('net.open') > 1 || of('net.exchange') > 1
      ? [`net.open ${of('net.open')} times, net.exchange ${of('net.exchange')} times`]
      : []),
    ...(isReported && arrived !== 1 ? [`an answer came and ${arrived} requests arrived`] : []),
  ];
}

export async function killDaemon(world: World, also?: () => void): Promise<void> {
  const pid = world.daemonPid();
  if (pid !== undefined) {
    process.kill(pid, 'SIGKILL');
    also?.();
    await until(() => isGone(pid));
  }
}

function isGone(pid: number): boolean {
  try {
    return /^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return true;
  }
}

export async function until(isSo: () => boolean, waitMs = 60_000): Promise<void> {
  for (const end = performance.now() + waitMs; !isSo(); await sleep(10)) {
    if (performance.now() > end) {
      throw new Error('what was waited for did not come');
    }
  }
}
