import { readFile, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';

import { visible } from '../../../base/text.ts';
import { dataFile } from '../../../system/data-file.ts';
import { run } from '../../../system/process.ts';
import { identifyProcess, isEnding, isSameProcess } from '../../../system/process-identity.ts';
import type { Machine } from '../../kernel/seccomp.ts';
import { limitSockets } from '../../oci/cgroups.ts';
import { endSession, processesInside } from '../../processes.ts';
import { sendingProcess } from '../../sending-process.ts';
import type { EngineKernel } from './engine-kernel.ts';

/** For an engine whose kernel is this host's, when this process has the rights to do what is needed. */
export function ownKernel({
  machine,
  env,
}: {
  readonly machine: Machine;
  readonly env: Readonly<Record<string, string>>;
}): EngineKernel {
  return {
    isHere: async () => true,
    identify: identifyProcess,
    isSame: isSameProcess,
    isEnding,
    read: async (pid, file) => readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => ''),
    namespaces: namespacesOf,
    processesInside,
    endSession,
    async signal(init, pid, signal) {
      if ((await processesInside(init)).includes(pid)) {
        process.kill(pid, signal);
      }
    },
    sender: sendingProcess,
    async stage(plan) {
      const args = [dataFile('engines/oci/stage.pl'), machine, String(process.pid)];
      const { exitCode, stderr } = await run('perl', args, { env, input: plan, timeoutMs: 30_000 });
      return exitCode === 0 ? '' : visible(stderr.toString('utf8').trim()).slice(0, 300) || 'no reason given';
    },
    limitSockets,
    shown: async ({ pid }, path) => readFile(join(`/proc/${pid}/root`, path)),
    close: async () => undefined,
  };
}

async function namespacesOf(pid: number): Promise<Readonly<Record<string, string>>> {
  const folder = `/proc/${pid}/ns`;
  const names = await readdir(folder).catch((): string[] => []);
  const links = await Promise.all(
    names.map(async (name) => [name, await readlink(`${folder}/${name}`).catch(() => '')] as const),
  );
  return Object.fromEntries(links.filter(([, link]) => link !== ''));
}
