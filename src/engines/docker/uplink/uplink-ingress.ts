import { readFile } from 'node:fs/promises';
import type { Duplex } from 'node:stream';

import { CasemateError } from '../../../base/errors.ts';
import { lineSplitter } from '../../../base/line-splitter.ts';
import { visible } from '../../../base/text.ts';
import { dataFile } from '../../../system/data-file.ts';
import type { Ingress } from '../../../system/ingress.ts';
import type { Abortable, IngressPorts } from '../../engine.ts';
import { uplinkFolder } from '../container-bodies.ts';
import { segment } from '../docker-client.ts';
import { newExec, type Asking } from '../inside.ts';
import { frameReader } from '../output-frames.ts';
import type { UplinkPlace } from './bodies.ts';
import { streamIngress } from './stream-ingress.ts';

/**
 * Listeners of a sandbox whose engine shares no socket with this host. `relay.pl` in the keeper takes connections, and
 * `relay.pl` in the uplink brings them to a port of this process, each with a token that it gets over the engine's own
 * connection. Both end with that connection, and so with this process.
 */
export interface UplinkWish extends Abortable {
  /** ids of containers */
  readonly keeper: string;
  readonly uplink: string;
  readonly place: UplinkPlace;
  readonly ports: IngressPorts;
}

/** As many connections can begin at one moment; for each that does the uplink asks for another token. */
const tokensAhead = 32;
const socketPath = `${uplinkFolder}/uplink`;
const user = '65534:65534';
const patienceMs = 15_000;
const longestWord = 16;

/** Throws `ENGINE_FAILED` when not every port could be bound; none stays open then. */
export async function uplinkIngress(context: Asking, wish: UplinkWish): Promise<Ingress> {
  const { keeper, uplink, place, ports, signal } = wish;
  const program = await readFile(dataFile('engines/docker/uplink/relay.pl'), 'utf8');
  const ingress = await streamIngress();
  const wanted = [...ports.tcp.map((port) => `tcp=${port}`), ...ports.udp.map((port) => `udp=${port}`)];
  const relays: Relay[] = [];
  const start = async (container: string, args: readonly string[]): Promise<Relay> => {
    const command = ['perl', '-e', program, ...args];
    const relay = await startRelay(context, { container, command, nextToken: ingress.token, signal });
    relays.push(relay);
    return relay;
  };
  const close = async (): Promise<void> => {
    relays.forEach((relay) => relay.end());
    await ingress.close();
  };
  try {
    const teller = await start(uplink, ['uplink', socketPath, place.host, String(ingress.port)]);
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
  /** what it is told in the place of a token that it has used */
  readonly nextToken: () => string;
}

/** Resolves when it has said that all is bound. */
async function startRelay(context: Asking, { container, command, nextToken, signal }: Starting): Promise<Relay> {
  const id = await newExec(context, container, {
    AttachStdin: true,
    AttachStdout: true,
    AttachStderr: true,
    User: user,
    WorkingDir: '/',
    Cmd: command,
  });
  const connection = await context.client.hijack(`/exec/${segment(id)}/start`, { Detach: false, Tty: false }, { signal });
  const { promise: isReady, resolve } = Promise.withResolvers<void>();
  const say = (line: string): void => void connection.write(`${line}\n`);
  const heard = hear((word) => {
    if (word === 'ready') {
      resolve();
    } else if (word === 'used') {
      say(nextToken());
    }
  });
  connection.on('data', heard.take);
  // What an engine that ends says of it is no fault of this process.
  connection.on('error', () => undefined);
  await inTime(connection, isReady, { complaint: heard.complaint, signal });
  return { say, end: () => void connection.destroy() };
}

interface Heard {
  readonly take: (piece: Uint8Array) => void;
  /** what it said against it */
  readonly complaint: () => string;
}

/** A word a line. */
function hear(tell: (word: string) => void): Heard {
  const lines = lineSplitter(longestWord);
  let complaint = '';
  const take = frameReader((stream, piece) => {
    if (stream === 2) {
      complaint = (complaint + piece.toString('utf8')).slice(0, 4096);
      return;
    }
    lines.take(piece).forEach((word) => tell(word?.toString('latin1') ?? ''));
  });
  return { take, complaint: () => complaint.trim().slice(0, 300) };
}

interface Waiting extends Abortable {
  readonly complaint: () => string;
}

async function inTime(connection: Duplex, isReady: Promise<void>, { complaint, signal }: Waiting): Promise<void> {
  const { promise, reject } = Promise.withResolvers<never>();
  const fail = (why: string): void => reject(new CasemateError('ENGINE_FAILED', `cannot listen in the sandbox: ${visible(why)}`));
  const timer = setTimeout(() => fail(`no answer within ${patienceMs} ms`), patienceMs);
  const onEnd = (): void => fail(complaint() || 'the relay ended early');
  const abort = (): void => reject(signal?.reason);
  signal?.addEventListener('abort', abort, { once: true });
  connection.once('end', onEnd);
  connection.once('close', onEnd);
  connection.once('error', onEnd);
  try {
    await Promise.race([isReady, promise]);
  } catch (error) {
    connection.destroy();
    throw error;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', abort);
    connection.off('end', onEnd);
    connection.off('close', onEnd);
    connection.off('error', onEnd);
  }
}
