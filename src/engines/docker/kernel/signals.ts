import { randomBytes } from 'node:crypto';
import { lstat, rename, rm } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';

import { privateFolder } from '../../../system/files.ts';
import { listening } from '../../../system/listening.ts';
import type { DockerContext } from '../context.ts';
import { segment } from '../docker-client.ts';
import { runningSandbox } from '../first-process.ts';
import { fieldsOf, numberOf, textOf } from '../read-json.ts';
import { isObserved, kernelOf } from './kernel-of.ts';
import type { Signals } from './kernel-place.ts';

/**
 * Sends signals to commands on behalf of the program that carries one: it cannot do so itself if the command is another user's
 * or on another kernel, whose process ids mean other processes here. It says "EXEC NUMBER" on a socket in a private folder and
 * is answered "sent", or with nothing. The last process that listens has the socket's name.
 */
const greatest = 100;
const patienceMs = 60_000;

/** Path of the socket; empty where whoever carries a command may send them. */
export async function signalsOf(context: DockerContext): Promise<string> {
  if (!(await isObserved(context))) {
    return '';
  }
  const { kernelPlace: place } = context;
  if (place.signals === undefined) {
    const socket = listenForSignals(context);
    place.signals = socket;
    socket.catch(() => {
      place.signals = place.signals === socket ? undefined : place.signals;
    });
  }
  return (await place.signals).path;
}

async function listenForSignals(context: DockerContext): Promise<Signals> {
  const { run } = context.options.folders;
  await privateFolder(run);
  const path = join(run, 'signals.sock');
  const own = join(run, `s-${randomBytes(6).toString('hex')}.sock`);
  const held = new Set<Socket>();
  const server = createServer((socket) => {
    held.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => held.delete(socket));
    socket.setTimeout(patienceMs, () => socket.destroy());
    let said = '';
    socket.on('data', (piece: Buffer) => {
      said += piece.toString('latin1');
      const [, exec, signal] = /^([0-9a-f]{64}) (\d{1,2})\n/.exec(said) ?? [];
      if (exec !== undefined) {
        socket.removeAllListeners('data');
        void send(context, exec, Number(signal)).then(
          (isSent) => socket.end(isSent ? 'sent\n' : ''),
          () => socket.end(),
        );
      } else if (said.length > greatest) {
        socket.destroy();
      }
    });
  });
  await listening(server, { path: own });
  server.unref();
  const { ino } = await lstat(own);
  await rename(own, path);
  return {
    path,
    async close() {
      server.close();
      held.forEach((socket) => socket.destroy());
      if ((await lstat(path).catch(() => undefined))?.ino === ino) {
        await rm(path, { force: true });
      }
    },
  };
}

/** To the command and nothing else: what the engine calls its process has to be one of that sandbox. */
async function send(context: DockerContext, exec: string, signal: number): Promise<boolean> {
  const told = fieldsOf(await context.client.must('GET', `/exec/${segment(exec)}/json`));
  const own = context.effects.sandboxOf(textOf(told['ContainerID']));
  const pid = numberOf(told['Pid']) ?? 0;
  if (own?.part !== 'sandbox' || told['Running'] !== true || pid <= 1) {
    return false;
  }
  const running = await runningSandbox(context, own.sandbox);
  if (running === undefined) {
    return false;
  }
  await (await kernelOf(context)).signal(running.init, pid, signal);
  return true;
}
