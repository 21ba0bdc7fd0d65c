import { randomBytes } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { isDelegated } from '../../engines/oci/delegation.ts';
import { engineLayout, type EngineLayout } from '../../engines/oci/folders.ts';
import { commandCall } from '../../engines/oci/gvisor/gvisor-calls.ts';
import { gvisorPlace } from '../../engines/oci/gvisor/gvisor-place.ts';
import { sharedFile } from '../../engines/oci/gvisor/sandbox-folder.ts';
import { containerOf, engineRecords } from '../../engines/records.ts';
import { runtimeCommand } from '../../engines/oci/runtime.ts';
import { run } from '../../system/process.ts';
import { dockerRootInside } from './docker-view.ts';
import type { RunInside } from '../inside/observe.ts';
import type { Inside, InsideOptions } from '../target.ts';
import type { Lab, LabSandbox } from './lab.ts';

/**
 * Runs commands in a sandbox of the lab as root of its user namespace, with every capability: an attacker who got past all that
 * keeps the agent an agent. The product offers no one this way in; the runtime is called directly. Where root inside would be
 * root of the host, it is root without any right.
 */
export function rootInside(lab: Lab, sandbox: LabSandbox): RunInside {
  const layout = engineLayout({ state: join(lab.places.state, 'engine'), run: join(lab.places.runtime, 'engine') });
  const { plan } = sandbox.target;
  if (plan !== undefined && plan.engine !== 'oci') {
    return dockerRootInside(lab, sandbox);
  }
  return async (command, { timeoutMs, input } = {}) => {
    const [init] = await sandbox.target.processes();
    if (plan?.runtime === 'runsc') {
      return await inGvisor({ lab, layout, id: sandbox.id, keeper: init ?? 0 }, command, { timeoutMs, input });
    }
    const file = join(lab.folder, `root-${randomBytes(6).toString('hex')}.json`);
    await writeFile(file, JSON.stringify(rootProcess(command)), { mode: 0o600 });
    const name = plan?.runtime ?? 'runc';
    const options = { name, root: layout.runtimeRoot(name), env: lab.env, ...(await whereTo(init)) };
    // It may have been made before its sandbox was asked for, under a name of its own.
    const container = containerOf(await engineRecords(layout.records).get(sandbox.id));
    const { file: program, args } = runtimeCommand(options, ['exec', '--process', file, container]);
    try {
      const { exitCode, stdout, stderr } = await run(program, args, { env: lab.env, cwd: lab.folder, input, timeoutMs });
      return { code: exitCode, out: stdout, err: stderr };
    } finally {
      await rm(file, { force: true });
    }
  };
}

interface GvisorSandbox {
  readonly lab: Lab;
  readonly layout: EngineLayout;
  readonly id: string;
  readonly keeper: number;
}

/** gVisor is called from the sandbox's namespaces, and reads the process from the sandbox's folder. No list holds the command. */
async function inGvisor(
  { lab, layout, id, keeper }: GvisorSandbox,
  command: readonly string[],
  { timeoutMs, input }: InsideOptions,
): Promise<Inside> {
  const execution = `root-${randomBytes(6).toString('hex')}`;
  const { processFile, executionPid, executionLog } = layout.sandbox(id);
  const files = [processFile(execution), executionPid(execution), executionLog(execution)];
  await sharedFile(processFile(execution), JSON.stringify(rootProcess(command)));
  const record = await engineRecords(layout.records).get(id);
  const place = gvisorPlace(record, { layout, isRoot: process.geteuid?.() === 0, keeper });
  const { file, args } = commandCall(containerOf(record), place, { execution, pidFile: executionPid(execution), tty: false });
  try {
    const { exitCode, stdout, stderr } = await run(file, args, { env: lab.env, cwd: lab.folder, input, timeoutMs });
    return { code: exitCode, out: stdout, err: stderr };
  } finally {
    await Promise.all(files.map((path) => rm(path, { force: true })));
  }
}

/** An ordinary user's runtime has to be started in the namespace around the sandbox's own. */
async function whereTo(init: number | undefined) {
  if (process.geteuid?.() === 0 || init === undefined) {
    return {};
  }
  return { beside: init, limitsMust: isDelegated(await readFile(`/proc/${init}/cgroup`, 'utf8').catch(() => undefined)) };
}

const everyCapability = (
  'CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE NET_ADMIN NET_RAW ' +
  'SYS_CHROOT SYS_PTRACE SYS_ADMIN SYS_RESOURCE MKNOD SETFCAP'
)
  .split(' ')
  .map((name) => `CAP_${name}`);

function rootProcess(command: readonly string[]): object {
  return {
    terminal: false,
    user: { uid: 0, gid: 0 },
    args: command,
    env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'HOME=/home/agent'],
    cwd: '/',
    capabilities: {
      bounding: everyCapability,
      effective: everyCapability,
      inheritable: everyCapability,
      permitted: everyCapability,
      ambient: everyCapability,
    },
    noNewPrivileges: false,
  };
}
