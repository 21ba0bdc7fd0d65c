/**
 * What an engine itself takes for what no preparation can spare: a command in a container that runs, and the start of one that
 * is made already. Nothing of ours is around it but the arguments. What a start and a command can come to at best is above this.
 */
import { rm } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';

import { connectClient, type Client } from '../src/daemon/client.ts';
import { socketPath } from '../src/daemon/protocol.ts';
import { environmentOf, processEnvironment } from '../src/system/environment.ts';
import { pathsFrom } from '../src/system/paths.ts';
import { identifyProcess } from '../src/system/process-identity.ts';
import { run, spawnProcess } from '../src/system/process.ts';
import { attempt, hostEnv } from './measure.ts';
import { bareBundle } from './runc-bundle.ts';
import { launcher, type Site } from './site.ts';

export interface Floor {
  /** milliseconds of the program by which a command is run inside, without its begin and end on record */
  readonly command: () => Promise<number>;
  /** milliseconds of the engine's own start of a bare container that is made; `undefined`: a claim needs none */
  readonly start: (() => Promise<number>) | undefined;
  readonly close: () => Promise<void>;
}

export type Maker = 'runc' | 'runsc' | 'docker';

const name = 'bench-floor';

/** `site` has the policy that says which engine; one sandbox of it runs until `close`. */
export async function floorOf(maker: Maker, site: Site, rootfs: string): Promise<Floor> {
  const call = (args: readonly string[]) => attempt(launcher, args, { env: site.env, cwd: site.project });
  await call(['create', name]);
  await call(['start', name]);
  const client = await connectClient({
    socketPath: socketPath(pathsFrom(environmentOf(site.env), process.geteuid?.() ?? 0)),
    answer: async () => ({}),
  });
  const starts = {
    runc: undefined,
    runsc: () => timeGvisor(site, rootfs),
    docker: timeDocker,
  };
  return {
    command: () => timeCommand(client),
    start: starts[maker],
    async close() {
      client.close();
      await call(['destroy', name, '--confirm', name]);
    },
  };
}

async function timeCommand(client: Client): Promise<number> {
  const own = await identifyProcess(process.pid);
  const opened = await client.call('exec', { name, command: ['true'], env: {}, tty: false, client: own });
  const { file, args, env } = opened.invocation;
  const started = performance.now();
  const { exitCode } = await run(file, args, { env });
  const ms = performance.now() - started;
  await client.call('close', { executionId: opened.executionId, exitCode });
  if (exitCode !== 0) {
    throw new Error(`a command of the floor ended with ${exitCode}`);
  }
  return ms;
}

async function timeGvisor(site: Site, rootfs: string): Promise<number> {
  const folder = join(site.folder, 'floor');
  const bundle = await bareBundle(folder, { rootfs, command: ['sleep', '600'] });
  const id = `casemate-floor-${process.pid}`;
  const runsc = async (...args: readonly string[]): Promise<void> =>
    await quietly('runsc', ['--root', join(folder, 'root'), '--network', 'none', '--ignore-cgroups', ...args]);
  try {
    await runsc('create', '--bundle', bundle, '--pid-file', join(folder, 'pid'), id);
    const started = performance.now();
    await runsc('start', id);
    return performance.now() - started;
  } finally {
    await runsc('delete', '--force', id);
    await rm(folder, { recursive: true, force: true });
  }
}

/** To its end alone: what it leaves running would keep pipes of ours open. */
async function quietly(file: string, args: readonly string[]): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const child = spawnProcess(file, args, { env: { ...hostEnv }, stdio: 'ignore' });
  child.once('error', reject);
  child.once('exit', (code) => (code === 0 ? resolve() : reject(new Error(`${file} ${args.at(-1) ?? ''} ended with ${code}`))));
  await promise;
}

/** The sandbox's own container, in the barest form: made and started over the engine's socket, of the image of the one that runs. */
async function timeDocker(): Promise<number> {
  const [running] = JSON.parse(await docker('GET', '/containers/json')) as readonly { readonly ImageID: string }[];
  const body = { Image: running?.ImageID, Cmd: ['sleep', '600'], HostConfig: { NetworkMode: 'none' } };
  const started = performance.now();
  const { Id } = JSON.parse(await docker('POST', '/containers/create', body)) as { readonly Id: string };
  await docker('POST', `/containers/${Id}/start`);
  const ms = performance.now() - started;
  await docker('DELETE', `/containers/${Id}?force=1`);
  return ms;
}

/** Where the engine is, as its own client is told; of another way than a socket nothing is measured. */
const dockerSocket = (processEnvironment.get('DOCKER_HOST') ?? 'unix:///var/run/docker.sock').replace('unix://', '');

function docker(method: string, path: string, body?: object): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const asked = request({ socketPath: dockerSocket, method, path, headers: { 'content-type': 'application/json' } });
  asked.once('error', reject);
  asked.once('response', (answer) => {
    let text = '';
    answer.setEncoding('utf8').on('data', (piece: string) => (text += piece));
    answer.once('end', () => ((answer.statusCode ?? 500) < 300 ? resolve(text) : reject(new Error(text))));
  });
  asked.end(body === undefined ? undefined : JSON.stringify(body));
  return promise;
}
