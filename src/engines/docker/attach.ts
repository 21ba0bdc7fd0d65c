import { readdir, readFile, writeFile } from 'node:fs/promises';

import { CasemateError } from '../../base/errors.ts';
import { dataFile } from '../../system/data-file.ts';
import { carriersOf } from '../carriers.ts';
import type { CommandSpec, Invocation } from '../engine.ts';
import { defaultEnv } from '../kernel/limits.ts';
import { mountsIn, requireProtections } from '../workspace/protections.ts';
import { runningSandbox } from './first-process.ts';
import type { DockerContext } from './context.ts';
import { kernelOf } from './kernel/kernel-of.ts';
import { signalsOf } from './kernel/signals.ts';
import { segment } from './docker-client.ts';
import { newExec } from './inside.ts';
import { agentOf } from './lifecycle.ts';
import { fieldsOf, numberOf } from './read-json.ts';

/** Commands of whoever uses the sandbox: fully defined here, and carried for the caller by `attach.pl`. */

export async function attach(context: DockerContext, id: string, command: CommandSpec): Promise<Invocation> {
  if (!/^[\w-]{1,64}$/.test(command.executionId)) {
    throw new CasemateError('NAME_INVALID', 'the id of an execution is not well formed');
  }
  const { options } = context;
  const [record, running, kernel] = await Promise.all([context.records.get(id), runningSandbox(context, id), kernelOf(context)]);
  if (running === undefined) {
    throw new CasemateError('SANDBOX_WRONG_STATE', `the sandbox ${id} is not running`);
  }
  const { uid, gid } = await agentOf(context, record.spec);
  const { cwd = '/workspace', env = {}, tty } = command;
  // The engine notes the command and starts nothing: whoever would start it is told how once all of this holds.
  const [exec] = await Promise.all([
    newExec(context, running.container, {
      AttachStdin: true,
      AttachStdout: true,
      AttachStderr: true,
      Tty: tty,
      User: `${uid}:${gid}`,
      WorkingDir: cwd,
      Env: Object.entries({ ...defaultEnv, ...record.spec.env, ...env }).map(([name, value]) => `${name}=${value}`),
      Cmd: command.command,
    }),
    requireProtections(record, async () => mountsIn(await kernel.read(running.init.pid, 'mountinfo'))),
  ]);
  const files = context.sandbox(id).execution(command.executionId);
  await writeFile(files.exec, exec, { mode: 0o600 });
  const [carrier, signals] = await Promise.all([context.carrier(), signalsOf(context)]);
  return {
    file: 'perl',
    args: [dataFile('engines/docker/attach.pl'), carrier, exec, tty ? 'tty' : 'plain', files.pid, files.log, signals],
    env: options.env,
    pidFile: files.pid,
    errorLog: files.log,
  };
}

/** A command lives on in the engine when the program that carried it was killed: it is ended here. */
export async function endOrphans(context: DockerContext, id: string): Promise<void> {
  const init = (await runningSandbox(context, id))?.init;
  if (init === undefined) {
    return;
  }
  const { executions, execution } = context.sandbox(id);
  const names = (await readdir(executions).catch((): string[] => [])).filter((name) => name.endsWith('.exec'));
  await Promise.all(
    names.map(async (name) => {
      const files = execution(name.slice(0, -'.exec'.length));
      const exec = await readFile(files.exec, 'utf8');
      const told = fieldsOf(await context.client.must('GET', `/exec/${segment(exec)}/json`).catch(() => undefined));
      const pid = numberOf(told['Pid']) ?? 0;
      if (told['Running'] === true && pid > 1 && (await carriersOf({ pidFile: files.pid })).length === 0) {
        await (await kernelOf(context)).endSession(init, String(pid));
      }
    }),
  );
}
