import { writeFile } from 'node:fs/promises';

import { CasemateError } from '../../base/errors.ts';
import type { CommandSpec, Engine, Invocation } from '../engine.ts';
import { commandProcess } from './bundle.ts';
import { liveInit } from './container.ts';
import { engineContext, examine, runtimeBeside, takeListener, type EngineContext, type OciEngineOptions } from './context.ts';
import { askForGracePeriod } from './grace-period.ts';
import { createSandbox, ensureContainer, removeSandbox, startSandbox, stateOf, stopSandbox, tidy } from './lifecycle.ts';
import { listenInside } from './listen.ts';
import { requireProtections } from './protections.ts';
import { processesInside } from './processes.ts';
import { runtimeCommand } from './runtime.ts';
import { sendingProcess } from './sending-process.ts';
import { sandboxStats } from './stats.ts';

/** The embedded engine: an OCI runtime (runc, crun, runsc) started directly, without a daemon of its own. */

const graceDefaultMs = 5000;
const nothingUsed = { memoryBytes: undefined, memoryPeakBytes: undefined, cpuMs: undefined, pids: undefined };

export function ociEngine(options: OciEngineOptions): Engine {
  const context = engineContext(options);
  const { isRoot, layout, records, exclusive } = context;
  return {
    name: 'oci',
    can: { pauses: false, limitsDisk: isRoot, limitsMemory: isRoot, rootless: true, ownKernel: false },
    examine: (runtime, abort) => examine(context, runtime, abort),
    create: (spec, abort = {}) => exclusive(spec.id, () => createSandbox(context, spec, abort)),
    ingress: (id, ports, abort = {}) =>
      exclusive(id, async () => {
        const { pid } = await ensureContainer(context, id, abort);
        return listenInside(pid, ports, { listener: takeListener(context, id), ...abort });
      }),
    start: (id, abort = {}) => exclusive(id, () => startSandbox(context, id, abort)),
    stop: (id, { graceMs = graceDefaultMs } = {}) => exclusive(id, () => stopSandbox(context, id, graceMs)),
    remove: (id) => exclusive(id, () => removeSandbox(context, id)),
    async list(owner) {
      const own = (await records.all()).filter(({ spec }) => spec.owner === owner);
      return Promise.all(own.map(async ({ spec }) => ({ id: spec.id, state: await stateOf(context, spec.id) })));
    },
    tidy: () => tidy(context),
    attach: (id, command) => attach(context, id, command),
    async stats(id) {
      const init = await liveInit(layout, id);
      return init === undefined ? nothingUsed : sandboxStats(id, init.pid);
    },
    async processes(id) {
      const init = await liveInit(layout, id);
      return init === undefined ? [] : processesInside(init);
    },
    async processOf(id, connection) {
      const init = await liveInit(layout, id);
      return init === undefined ? undefined : sendingProcess(init, connection);
    },
  };
}

async function attach(context: EngineContext, id: string, command: CommandSpec): Promise<Invocation> {
  if (!/^[\w-]{1,64}$/.test(command.executionId)) {
    throw new CasemateError('NAME_INVALID', 'the id of an execution is not well formed');
  }
  const record = await context.records.get(id);
  const { spec } = record;
  const init = await liveInit(context.layout, id);
  if (init === undefined || (await stateOf(context, id)) !== 'running') {
    throw new CasemateError('SANDBOX_WRONG_STATE', `the sandbox ${id} is not running`);
  }
  await requireProtections(record, init.pid);
  // The caller starts the runtime next.
  void askForGracePeriod();
  const folder = context.layout.sandbox(id);
  const pidFile = folder.executionPid(command.executionId);
  const processFile = folder.processFile(command.executionId);
  const errorLog = folder.executionLog(command.executionId);
  await writeFile(processFile, JSON.stringify(commandProcess(spec, command)), { mode: 0o600 });
  const runtime = await runtimeBeside(context, spec.runtime, init);
  const { file, args } = runtimeCommand(runtime, [
    '--log',
    errorLog,
    'exec',
    '--process',
    processFile,
    '--pid-file',
    pidFile,
    id,
  ]);
  return { file, args, env: context.env, pidFile, errorLog };
}
