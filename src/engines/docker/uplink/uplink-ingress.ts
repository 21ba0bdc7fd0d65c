import { readFile } from 'node:fs/promises';
import type { Duplex } from 'node:stream';

import { CasemateError } from '../../../base/errors.ts';
import { visible } from '../../../base/text.ts';
import { dataFile } from '../../../system/data-file.ts';
import type { Ingress } from '../../../system/ingress.ts';
import type { Abortable, IngressPorts } from '../../engine.ts';
import { uplinkFolder } from '../container-bodies.ts';
import { segment } from '../docker-client.ts';
import { newExec, type Asking } from '../inside.ts';
import { outputFrames } from '../output-frames.ts';
import type { UplinkPlace } from './bodies.ts';
import { streamIngress } from './stream-ingress.ts';

/**
 * Listeners of a sandbox whose engine shares no socket with this host: `relay.pl` in the keeper takes connections, `relay.pl` in
 * the uplink brings them to a port of this process, with a token each that it is told over the engine's own connection. Both
 * end with that connection, and so with this process.
 */
export interface UplinkWish extends Abortable {
  /** ids of containers */
  readonly keeper: string;
  readonly uplink: string;
  readonly place: UplinkPlace;
  readonly ports: IngressPorts;
}

/** As many connections can begin at one moment; each that does makes room for another. */
const tokensAhead = 32;
const socketPath = `${uplinkFolder}/uplink`;
const user = '65534:65534';
const patienceMs = 15_000;

/** Throws `ENGINE_FAILED` when not every port could be bound; none stays open then. */
export async function uplinkIngress(context: Asking, wish: UplinkWish): Promise<Ingress> {
  const { keeper, uplink, place, ports, signal } = wish;
  const program = await readFile(dataFile('engines/docker/uplink/relay.pl'), 'utf8');
  let teller: Relay | undefined;
  const ingress = await streamIngress({ onUse: () => teller?.say(ingress.token()) });
  const wanted = [...ports.tcp.map((port) => `tcp=${port}`), ...ports.udp.map((port) => `udp=${port}`)];
  const relays: Relay[] = [];
  const start = async (container: string, args: readonly string[]): Promise<Relay> => {
    const relay = await startRelay(context, { container, command: ['perl', '-e', program, ...args], signal });
    relays.push(relay);
    return relay;
  };
  const close = async (): Promise<void> => {
    relays.forEach((relay) => relay.end());
    await ingress.close();
  };
  try {
    teller = await start(uplink, ['uplink', socketPath, place.host, String(ingress.port)]);
    for (let count = 0; count < tokensAhead; count += 1) {
      teller.say(ingress.token());
    }
    await start(keeper, ['keeper', socketPath, ...wanted]);
  } catch (error) {
    await close();
    throw error;
  }
  return { serve: ingress.serve, close };
}

interface Relay {
  readonly say: (line: string) => void;
  readonly end: () => void;
}

interface Starting extends Abortable {
  readonly container: string;
  readonly command: readonly string[];
}

/** Resolves when it has said that all is bound. */
async function startRelay(context: Asking, { container, command, signal }: Starting): Promise<Relay> {
  const id = await newExec(context, container, {
    AttachStdin: true,
    AttachStdout: true,
    AttachStderr: true,
    User: user,
    WorkingDir: '/',
    Cmd: command,
  });
  const connection = await context.client.hijack(`/exec/${segment(id)}/start`, { Detach: false, Tty: false }, { signal });
  await ready(connection, signal);
  // Nothing else is said; what an engine that ends says of it is no fault of this process.
  connection.on('error', () => undefined);
  connection.resume();
  return { say: (line) => void connection.write(`${line}\n`), end: () => void connection.destroy() };
}

async function ready(connection: Duplex, signal: AbortSignal | undefined): Promise<void> {
  const frames = outputFrames(4096);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const fail = (why: string): void => reject(new CasemateError('ENGINE_FAILED', `cannot listen in the sandbox: ${visible(why)}`));
  const timer = setTimeout(() => fail(`no answer within ${patienceMs} ms`), patienceMs);
  const onData = (piece: Buffer): void => {
    frames.take(piece);
    if (frames.stdout().includes('ready\n')) {
      resolve();
    }
  };
  const onEnd = (): void => fail(frames.stderr().toString('utf8').trim().slice(0, 300) || 'the relay ended early');
  const abort = (): void => reject(signal?.reason);
  signal?.addEventListener('abort', abort, { once: true });
  connection.on('data', onData);
  connection.once('end', onEnd);
  connection.once('close', onEnd);
  connection.once('error', onEnd);
  try {
    await promise;
  } catch (error) {
    connection.on('error', () => undefined);
    connection.destroy();
    throw error;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', abort);
    connection.off('data', onData);
    connection.off('end', onEnd);
    connection.off('close', onEnd);
  }
}
