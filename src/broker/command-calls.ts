import type { z } from 'zod';

import { asObject } from '../base/json.ts';
import { json, type Call, type Reply } from './call.ts';
import { sizeOf } from './container-calls.ts';
import { findContainer } from './own-containers.ts';
import type { BrokerParts } from './parts.ts';
import { commandSchema, commandStartSchema } from './read-create.ts';
import { conflict, notFound, notOffered } from './refusal.ts';

/** Commands in a running container. Only ids that were given out here are accepted. */

export interface CommandCalls {
  readonly create: (call: Call) => Promise<Reply>;
  readonly start: (call: Call) => Promise<Reply>;
  readonly inspect: (call: Call) => Promise<Reply>;
  readonly resize: (call: Call) => Promise<Reply>;
}

interface Known {
  readonly container: string;
  readonly name: string;
  readonly tty: boolean;
  readonly command: readonly string[];
}

const greatestCount = 4096;
/** The engine remembers each until its container goes. */
const greatestWaiting = 256;

function streamsOf({ Tty, AttachStdin, AttachStdout, AttachStderr }: z.output<typeof commandSchema>) {
  return { tty: Tty === true, stdin: AttachStdin === true, stdout: AttachStdout === true, stderr: AttachStderr === true };
}

export function commandCalls(parts: BrokerParts): CommandCalls {
  const known = new Map<string, Known>();
  const waiting = new Set<string>();
  const find = (id: string): Known => {
    const found = known.get(id);
    if (found === undefined) {
      throw notFound('No such exec instance');
    }
    return found;
  };
  return {
    async create(call) {
      const { id, state, said } = await findContainer(parts, call.params[0] ?? '');
      const body = await call.read(commandSchema);
      if (state !== 'running') {
        throw conflict(`Container ${id} is not running`);
      }
      if (waiting.size >= greatestWaiting) {
        throw notOffered('limits', `no more than ${greatestWaiting} commands may wait for their start`);
      }
      await call.effect('docker.exec', said.name, { program: (body.Cmd[0] ?? '').slice(0, 200) });
      const command = await parts.containers.newCommand(id, {
        ...streamsOf(body),
        command: body.Cmd,
        env: body.Env ?? [],
        workingDir: body.WorkingDir ?? '',
      });
      waiting.add(command);
      known.set(command, { container: id, name: said.name, tty: body.Tty === true, command: body.Cmd });
      const oldest = known.keys().next();
      if (known.size > greatestCount && oldest.done !== true) {
        known.delete(oldest.value);
      }
      return json({ Id: command }, 201);
    },
    async start({ params, read, signal }) {
      const id = params[0] ?? '';
      const { tty } = find(id);
      const { Detach } = await read(commandStartSchema);
      waiting.delete(id);
      const source = await parts.containers.startCommand(id, { tty, detach: Detach === true }, signal);
      return source === undefined ? { kind: 'nothing', status: 200 } : { kind: 'both-ways', source };
    },
    async inspect({ params }) {
      const id = params[0] ?? '';
      return json(commandView(id, find(id), await parts.containers.inspect({ command: id })));
    },
    async resize({ params, query }) {
      const id = params[0] ?? '';
      find(id);
      await parts.containers.resize({ command: id }, sizeOf(query));
      return { kind: 'nothing', status: 200 };
    },
  };
}

function commandView(id: string, { container, tty, command: [program, ...rest] }: Known, answer: unknown): object {
  const told = asObject(answer);
  const shown = ['Running', 'ExitCode', 'OpenStdin', 'OpenStdout', 'OpenStderr', 'CanRemove'];
  return {
    ID: id,
    ...Object.fromEntries(shown.map((name) => [name, told[name]])),
    ProcessConfig: { tty, entrypoint: program, arguments: rest, privileged: false },
    ContainerID: container,
    Pid: told['Running'] === true ? 1 : 0,
  };
}
