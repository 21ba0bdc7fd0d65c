import { readFile } from 'node:fs/promises';

import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import { dataFile } from '../../system/data-file.ts';
import type { Ingress } from '../../system/ingress.ts';
import type { Abortable, IngressPorts } from '../engine.ts';
import { listenInside, startListener } from '../listen.ts';
import { orderWord } from '../order-word.ts';
import { uplinkFolder } from './container-bodies.ts';
import type { DockerContext } from './context.ts';
import { runInside } from './inside.ts';

/**
 * Listeners in the keeper's network, served by this process. A program in the keeper binds them and passes the descriptors over
 * a Unix socket that only that keeper sees. Then it exits, so that no helper can be attacked and no byte is copied.
 */

export interface IngressWish extends Abortable {
  readonly id: string;
  /** id of its container */
  readonly keeper: string;
  readonly ports: IngressPorts;
}

const keeperUser = '65534:65534';

/** Throws `ENGINE_FAILED` when not every port could be bound; none stays open then. */
export async function ingressOf(context: DockerContext, wish: IngressWish): Promise<Ingress> {
  const { machine, options, sandbox } = context;
  const { id, keeper, ports, signal } = wish;
  const { uplink } = sandbox(id);
  const wanted = [...ports.tcp.map((port) => `tcp=${port}`), ...ports.udp.map((port) => `udp=${port}`)];
  const listener = startListener({ program: ['engines/docker/receive.pl', machine], env: options.env });
  const parts = ['engines/listeners.pl', 'engines/docker/hand-out.pl'].map((name) => readFile(dataFile(name), 'utf8'));
  const program = (await Promise.all(parts)).join('');
  const command = ['perl', '-e', program, machine, `${uplinkFolder}/listeners`, ...wanted];
  const given = new AbortController();
  const either = signal === undefined ? given.signal : AbortSignal.any([signal, given.signal]);
  const handedOut = handOut();
  const arrived = listenInside(orderWord(uplink), ports, { listener, signal: either });
  // Whichever fails ends the other one.
  handedOut.catch((error: unknown) => given.abort(error));
  const ingress = await arrived;
  try {
    await handedOut;
    return ingress;
  } catch (error) {
    await ingress.close();
    throw error;
  }

  async function handOut(): Promise<void> {
    const { exitCode, stderr } = await runInside(context, { container: keeper, user: keeperUser, command, signal });
    if (exitCode !== 0) {
      throw new CasemateError('ENGINE_FAILED', `cannot listen in the sandbox: ${visible(stderr.trim()).slice(0, 300)}`);
    }
  }
}
