import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';

import { CasemateError } from '../../base/errors.ts';
import type { LayerName } from '../../base/layers.ts';
import { dockerClient } from '../../engines/docker/docker-client.ts';
import { fieldsOf, rowsOf, textOf, type Fields } from '../../engines/docker/read-json.ts';
import { listening } from '../../system/listening.ts';
import { containerEngine, labOptions } from './docker-view.ts';
import type { Lab } from './lab.ts';

/** A socket in front of an engine that passes everything on, and lies about what the engine is. */
export interface LyingEngine {
  /** of a program that is to use it */
  readonly env: Readonly<Record<string, string>>;
  /** from now on; `undefined`: nothing but the truth */
  readonly say: (lie: Lie | undefined) => void;
  readonly close: () => Promise<void>;
}

/** What becomes of some of its answers, by what is asked for; and of what containers are to be made with. */
export type Lie = Readonly<Partial<Record<'info' | 'version' | 'libpod/info' | 'containers/create', (told: Fields) => Fields>>>;

/** Where each is looked for. */
const hosts = { docker: 'DOCKER_HOST', podman: 'CONTAINER_HOST' } as const;

export async function lyingEngine(lab: Pick<Lab, 'folder' | 'env' | 'twin'>): Promise<LyingEngine> {
  const behind = await pathOf(lab);
  const path = join(lab.folder, 'engine.sock');
  const sockets = new Set<Socket>();
  let lie: Lie | undefined;
  const server = createServer({ allowHalfOpen: true }, (caller) => {
    keep(caller);
    // Each request has a connection of its own.
    caller.once('data', (first) => {
      const asked = /^GET \/v[\d.]+\/(info|version|libpod\/info) /.exec(first.toString('latin1'))?.[1];
      const change = asked === 'info' || asked === 'version' || asked === 'libpod/info' ? lie?.[asked] : undefined;
      if (asked !== undefined && change !== undefined) {
        void answer(caller, asked, change);
        return;
      }
      const making = /^POST \/v[\d.]+\/(?:libpod\/)?containers\/create[ ?]/.test(first.toString('latin1'));
      void onward(caller, making ? lie?.['containers/create'] : undefined, first);
    });
  });
  async function onward(caller: Socket, change: ((asked: Fields) => Fields) | undefined, first: Buffer): Promise<void> {
    const asked = change === undefined ? first : await changed(caller, first, change);
    const engine = connect({ path: behind, allowHalfOpen: true });
    keep(engine);
    engine.write(asked);
    caller.pipe(engine);
    engine.pipe(caller);
  }
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
  await listening(server, { path });
  return {
    env: { [hosts[containerEngine(lab)]]: `unix://${path}` },
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

/** What is before it speaks to a socket alone. */
async function pathOf(lab: Parameters<typeof labOptions>[0]): Promise<string> {
  const endpoint = await labOptions(lab).socket();
  if (endpoint.kind !== 'unix') {
    throw new CasemateError('UNSUPPORTED', 'only an engine at a socket of this host can be put behind one that lies');
  }
  return endpoint.path;
}

/** A request that has come as a whole, with another document in it. */
async function changed(caller: Socket, first: Buffer, change: (asked: Fields) => Fields): Promise<Buffer> {
  let all = first;
  const isWhole = (): boolean => {
    const end = all.indexOf('\r\n\r\n');
    const length = Number(/^content-length: *(\d+)/im.exec(all.toString('latin1', 0, Math.max(end, 0)))?.[1] ?? 0);
    return end !== -1 && all.length >= end + 4 + length;
  };
  while (!isWhole()) {
    // oxlint-disable-next-line no-await-in-loop -- one piece after the other
    const [piece] = await once(caller, 'data');
    all = Buffer.concat([all, Buffer.from(piece)]);
  }
  const end = all.indexOf('\r\n\r\n');
  const body = JSON.stringify(change(fieldsOf(JSON.parse(all.toString('utf8', end + 4)))));
  const head = all.toString('latin1', 0, end).replace(/^content-length:.*$/im, `content-length: ${Buffer.byteLength(body)}`);
  return Buffer.from(`${head}\r\n\r\n${body}`);
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
  'runtime-floor': runtimeSays({ Name: 'runc', Version: '1.0.0' }),
};

/** Its runtime is of that kind, and no package of a distribution. */
export function runtimeSays(runtime: { readonly Name: string; readonly Version: string }): Lie {
  return {
    'libpod/info': (told) => {
      const host = fieldsOf(told['host']);
      const ociRuntime = { name: runtime.Name, version: `${runtime.Name} version ${runtime.Version}`, package: 'Unknown' };
      return { ...told, host: { ...host, ociRuntime: { ...fieldsOf(host['ociRuntime']), ...ociRuntime } } };
    },
    version: (told) => ({
      ...told,
      Components: rowsOf(told['Components']).map((row) => {
        const component = fieldsOf(row);
        return component['Name'] === 'runc' ? { ...component, Details: { GitCommit: '' }, ...runtime } : component;
      }),
    }),
  };
}
