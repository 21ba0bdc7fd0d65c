import type { Duplex } from 'node:stream';

import { CasemateError } from '../../../base/errors.ts';
import type { ContainerPlace, SandboxContainers } from '../../containers.ts';
import { segment } from '../docker-client.ts';
import { newExec, type Asking } from '../inside.ts';

/** Streams and commands of a container that is known to belong to the sandbox. */

type Require = (container: string) => Promise<void>;

type Commands = Pick<
  SandboxContainers,
  'resize' | 'inspect' | 'wait' | 'logs' | 'attach' | 'newCommand' | 'startCommand' | 'events'
>;

export function commandsOf(
  asking: Asking,
  facts: { readonly require: Require; readonly user: string; readonly labels: readonly string[] },
): Commands {
  const { client } = asking;
  const { require, user, labels } = facts;
  /** those that were made here, and so for a container of the sandbox */
  const known = new Set<string>();
  const requirePlace = async (place: ContainerPlace): Promise<string> => {
    if ('container' in place) {
      await require(place.container);
      return `/containers/${segment(place.container)}`;
    }
    requireKnown(known, place.command);
    return `/exec/${segment(place.command)}`;
  };
  return {
    async resize(place, { rows, columns }) {
      await client.must('POST', `${await requirePlace(place)}/resize`, { query: { h: rows, w: columns } });
    },
    inspect: async (place) => client.must('GET', `${await requirePlace(place)}/json`),
    async wait(container, condition, signal) {
      await require(container);
      return client.stream('POST', `/containers/${segment(container)}/wait`, { query: { condition }, signal });
    },
    async logs(container, { ...choice }, signal) {
      await require(container);
      return client.stream('GET', `/containers/${segment(container)}/logs`, { query: choice, signal });
    },
    async attach(container, { ...choice }, signal) {
      await require(container);
      return client.hijack(`/containers/${segment(container)}/attach`, {}, { query: choice, signal });
    },
    async newCommand(container, { command, env, workingDir, tty, stdin, stdout, stderr }) {
      await require(container);
      const streams = { AttachStdin: stdin, AttachStdout: stdout, AttachStderr: stderr, Tty: tty };
      const place = workingDir === '' ? {} : { WorkingDir: workingDir };
      const id = await newExec(asking, container, { ...streams, ...place, User: user, Env: env, Cmd: command });
      known.add(id);
      return id;
    },
    async startCommand(command, { tty, detach }, signal): Promise<Duplex | undefined> {
      requireKnown(known, command);
      const path = `/exec/${segment(command)}/start`;
      if (detach) {
        await client.must('POST', path, { body: { Detach: true, Tty: tty } });
        return undefined;
      }
      return client.hijack(path, { Detach: false, Tty: tty }, { signal });
    },
    events: (choice, signal) =>
      client.stream('GET', '/events', {
        query: { ...choice, filters: JSON.stringify({ type: ['container'], label: labels }) },
        signal,
      }),
  };
}

function requireKnown(known: ReadonlySet<string>, command: string): void {
  if (!known.has(command)) {
    throw new CasemateError('ENGINE_FAILED', 'there is no such command');
  }
}
