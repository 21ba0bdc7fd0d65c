/** What a proof sees of a process that the runtime is just about to start. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';

import { afterEach, expect, test } from 'vitest';

import { readStatus } from '../../src/proof/host-view.ts';

/** Has the name that runc's process has, and is another program once it is told so. */
const becoming = `open(my $name, '>', '/proc/self/comm'); syswrite $name, 'runc:[2:INIT]'; syswrite STDOUT, "ready"; <STDIN>; exec 'sleep', '600'`;
let child: ChildProcess;

afterEach(() => {
  child.kill('SIGKILL');
});

async function start(): Promise<{ readonly processes: () => Promise<readonly number[]> }> {
  child = spawn('perl', ['-e', becoming], { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(child.stdout ?? child, 'data');
  return { processes: () => Promise.resolve([child.pid ?? 0]) };
}

test('one that becomes a command is read when it has become it', async () => {
  const target = await start();
  let asked = 0;
  const [status] = await readStatus(
    {
      processes: () => {
        asked += 1;
        if (asked === 3) {
          child.stdin?.write('\n');
        }
        return target.processes();
      },
    },
    20_000,
  );
  expect(status?.['Name']).toBe('sleep');
});

test('one that goes on having such a name is read as it is', async () => {
  const [status] = await readStatus(await start(), 100);
  expect(status).toMatchObject({ Name: 'runc:[2:INIT]', NoNewPrivs: '0', Seccomp: expect.any(String) });
});
