import { rm } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';

import type { LayerName } from '../../base/layers.ts';
import { dockerClient } from '../../engines/docker/docker-client.ts';
import { fieldsOf, rowsOf, textOf, type Fields } from '../../engines/docker/read-json.ts';
import { socketPath } from '../../engines/docker/socket-path.ts';
import { environmentOf } from '../../system/environment.ts';
import type { Lab } from './lab.ts';

/** A socket before a Docker Engine that hands everything on, and says another thing of what the engine is. */
export interface LyingEngine {
  /** of a program that is to use it */
  readonly env: { readonly DOCKER_HOST: string };
  /** from now on; `undefined`: nothing but the truth */
  readonly say: (lie: Lie | undefined) => void;
  readonly close: () => Promise<void>;
}

/** What becomes of two of its answers. */
export interface Lie {
  readonly info?: (told: Fields) => Fields;
  readonly version?: (told: Fields) => Fields;
}

export async function lyingEngine({ folder, env }: Pick<Lab, 'folder' | 'env'>): Promise<LyingEngine> {
  const behind = socketPath(environmentOf(env));
  const path = join(folder, 'engine.sock');
  const sockets = new Set<Socket>();
  let lie: Lie | undefined;
  const server = createServer({ allowHalfOpen: true }, (caller) => {
    keep(caller);
    // Each request has a connection of its own.
    caller.once('data', (first) => {
      const asked = /^GET \/v[\d.]+\/(info|version) /.exec(first.toString('latin1'))?.[1];
      const change = asked === 'info' ? lie?.info : asked === 'version' ? lie?.version : undefined;
      if (asked !== undefined && change !== undefined) {
        void answer(caller, asked, change);
        return;
      }
      const engine = connect({ path: behind, allowHalfOpen: true });
      keep(engine);
      engine.write(first);
      caller.pipe(engine);
      engine.pipe(caller);
    });
  });
  function keep(socket: Socket): void {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => sockets.delete(socket));
  }
  async function answer(caller: Socket, asked: string, change: (told: Fields) => Fields): Promise<void> {
    const told = await dockerClient(behind).call('GET', `/${asked}`);
    const text = JSON.stringify(change(fieldsOf(told.body)));
    const head = ['HTTP/1.1 200 OK', 'Content-Type: application/json', `Content-Length: ${Buffer.byteLength(text)}`];
    caller.end(`${[...head, 'Connection: close'].join('\r\n')}\r\n\r\n${text}`);
  }
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(path, resolve);
  await promise;
  return {
    env: { DOCKER_HOST: `unix://${path}` },
    say(next) {
      lie = next;
    },
    async close() {
      sockets.forEach((socket) => socket.destroy());
      server.close();
      await rm(path, { force: true });
    },
  };
}

const without =
  (name: string) =>
  (told: Fields): Fields => ({ ...told, [name]: false });

/** What an engine says that lacks a layer. */
export const hidingLies: Readonly<Partial<Record<LayerName, Lie>>> = {
  seccomp: {
    info: (told) => ({
      ...told,
      SecurityOptions: rowsOf(told['SecurityOptions']).filter((row) => !textOf(row).includes('seccomp')),
    }),
  },
  'memory-limit': { info: without('MemoryLimit') },
  'cpu-limit': { info: without('CpuCfsQuota') },
  'pids-limit': { info: without('PidsLimit') },
  'runtime-floor': runtimeSays({ Version: '1.0.0' }),
};

/** Its runtime is of that kind, and no package of a distribution. */
export function runtimeSays(runtime: Fields): Lie {
  return {
    version: (told) => ({
      ...told,
      Components: rowsOf(told['Components']).map((row) => {
        const component = fieldsOf(row);
        return component['Name'] === 'runc' ? { ...component, Details: { GitCommit: '' }, ...runtime } : component;
      }),
    }),
  };
}
