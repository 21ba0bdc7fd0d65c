/** Whatever was made without a process-id namespace of its own: no process of the host is taken for one of a sandbox. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';

import { gvisorProcesses } from '../../src/engines/oci/gvisor/own-processes.ts';
import { endSession, processesInside } from '../../src/engines/processes.ts';
import { identifyProcess, type ProcessIdentity } from '../../src/system/process-identity.ts';

let child: ReturnType<typeof spawn>;
let identity: ProcessIdentity;

beforeEach(async () => {
  // Leads a session of its own, as a command in a sandbox does.
  child = spawn('sleep', ['60'], { stdio: 'ignore', detached: true });
  await once(child, 'spawn');
  const found = await identifyProcess(child.pid ?? 0);
  expect(found).toBeDefined();
  identity = found ?? { pid: 0, startTicks: '' };
});
afterEach(() => {
  child.kill('SIGKILL');
});

test('a process of the host is in no sandbox', async () => {
  expect(await processesInside(identity)).toEqual([]);
});

test('nor one of gVisor', async () => {
  expect(await gvisorProcesses(identity)).toEqual([]);
});

test('and its session is not ended', async () => {
  await endSession(identity, String(identity.pid));
  await sleep(100);
  expect(child.exitCode).toBeNull();
  expect(child.signalCode).toBeNull();
});
