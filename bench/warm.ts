/**
 * From the call to the running sandbox, as the faces of the program have it: `create_session` of a client that speaks MCP
 * over standard input and over HTTP, and `casemate run`, each with a container that waits and with none, in the same rounds;
 * and in these, too, what the engine alone takes for what cannot be done ahead. At the end the same with nothing running: no
 * daemon, and no server of the client's.
 */
import { chown, mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

import { pathsFrom } from '../src/system/paths.ts';
import { environmentOf } from '../src/system/environment.ts';
import { spawnProcess } from '../src/system/process.ts';
import { listen } from '../test/helpers/gateway-lab.ts';
import { floorOf, type Floor, type Maker } from './floor.ts';
import { attempt } from './measure.ts';
import { blocked, type BenchResult } from './result.ts';
import { launcher, program, withSite, type Site } from './site.ts';

/** a caller over HTTP may make ten sessions at once */
const rounds = 9;
/** long enough for the next container to be made */
const restMs = 1000;
const ordinaryUser = 1000;

const faces = ['create_session over stdio', 'create_session over HTTP', 'casemate run -- true'] as const;
type Face = (typeof faces)[number];

/** what makes the sandboxes, as the policy says it, and the layers it has not */
const makers = {
  runc: { policy: 'engine: oci\nruntime: runc', lacks: [] },
  runsc: { policy: 'engine: oci\nruntime: runsc', lacks: [] },
  docker: { policy: 'engine: docker', lacks: ['user-namespace', 'disk-limit'] },
} as const satisfies Readonly<Record<Maker, { readonly policy: string; readonly lacks: readonly string[] }>>;

export async function benchWarm(): Promise<readonly BenchResult[]> {
  const results: BenchResult[] = [];
  for (const maker of ['runc', 'runsc', 'docker'] as const) {
    try {
      results.push(...(await withSite((cold) => withSite((warm) => benchMaker(maker, { cold, warm })))));
    } catch (error) {
      const reason = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
      results.push(blocked(nameOf(faces[0], maker, 'one waits'), 'ms', reason));
    }
  }
  return results;
}

const nameOf = (face: Face, maker: Maker, how: string): string => `warm/${face}, ${maker}, ${how}`;

async function benchMaker(maker: Maker, sites: { readonly cold: Site; readonly warm: Site }): Promise<readonly BenchResult[]> {
  const image = await attempt(process.execPath, [program, 'image', 'show', 'base', '--json'], { env: sites.cold.env });
  if (image?.exitCode !== 0) {
    return [blocked(nameOf(faces[0], maker, 'one waits'), 'ms', 'there is no image "base"; run: casemate setup')];
  }
  const cold = await facesOf(sites.cold, maker, 0);
  const warm = await facesOf(sites.warm, maker, 2);
  const floor = await floorOf(maker, sites.cold, rootfsIn(image.stdout));
  try {
    const rows: BenchResult[] = [];
    for (const face of faces) {
      const samples = { cold: [] as number[], warm: [] as number[], floor: [] as number[] };
      const floorTime = alone(floor, face);
      let fault: string | undefined;
      // The first has none to take, and warms what is to be warm.
      for (let round = 0; round < rounds; round += 1) {
        for (const [how, own] of [
          ['cold', cold],
          ['warm', warm],
        ] as const) {
          const ms = await own.time(face);
          if (round > 0) {
            samples[how].push(ms);
          }
          await new Promise((resolve) => setTimeout(resolve, restMs));
        }
        if (floorTime !== undefined && fault === undefined) {
          fault = await floorTime.ms().then(
            (ms) => void samples.floor.push(ms),
            (error: unknown) => (error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error)),
          );
          await new Promise((resolve) => setTimeout(resolve, restMs));
        }
      }
      const names = { cold: nameOf(face, maker, 'none waits'), warm: nameOf(face, maker, 'one waits') };
      const also = fromNothing.has(face) ? [{ against: nameOf(face, maker, 'nothing runs'), aim: '<= 0.1' }] : undefined;
      rows.push(
        { name: names.warm, unit: 'ms', samples: samples.warm, against: names.cold, aim: '< 60 ms, a tenth', also },
        { name: names.cold, unit: 'ms', samples: samples.cold, note: '`share: { ready: 0 }`' },
      );
      if (floorTime !== undefined) {
        const name = nameOf(face, maker, floorTime.what);
        rows.push(
          fault === undefined ? { name, unit: 'ms', samples: samples.floor, against: names.cold } : blocked(name, 'ms', fault),
        );
      }
    }
    for (const [face, time] of fromNothing) {
      const samples: number[] = [];
      for (let round = 0; round < 5; round += 1) {
        await attempt(process.execPath, [program, 'daemon', 'stop', '--force'], { env: sites.cold.env });
        samples.push(await time(sites.cold));
      }
      rows.push({ name: nameOf(face, maker, 'nothing runs'), unit: 'ms', samples });
    }
    return rows;
  } finally {
    await floor.close();
    await Promise.all([cold.close(), warm.close()]);
  }
}

/** What can be measured with neither a daemon nor a server of the client's. */
const fromNothing: ReadonlyMap<Face, (site: Site) => Promise<number>> = new Map<Face, (site: Site) => Promise<number>>([
  ['create_session over stdio', timeFirstSession],
  ['casemate run -- true', timeRun],
]);

function rootfsIn(shown: Buffer): string {
  const { rootfs } = JSON.parse(shown.toString('utf8')) as { rootfs?: string };
  return rootfs ?? '';
}

/** What of it is the engine's: a session over HTTP is the same as the other one. */
function alone({ command, start }: Floor, face: Face): { readonly what: string; readonly ms: () => Promise<number> } | undefined {
  if (face === 'casemate run -- true') {
    return { what: 'of it the engine alone: the command', ms: command };
  }
  return face === 'create_session over stdio' && start !== undefined
    ? { what: 'of it the engine alone: the start', ms: start }
    : undefined;
}

/** Both servers and a warm daemon below one policy. */
async function facesOf(site: Site, maker: Maker, ready: number) {
  const paths = pathsFrom(environmentOf(site.env), process.geteuid?.() ?? 0);
  await mkdir(paths.config, { recursive: true, mode: 0o700 });
  const { policy, lacks } = makers[maker];
  const waived = [...new Set([...site.waive.filter((word) => word !== '--waive'), ...lacks])];
  if (maker === 'docker' && process.geteuid?.() === 0) {
    // Without mapped ids nothing runs on a folder of root's.
    await chown(site.project, ordinaryUser, ordinaryUser);
  }
  await writeFile(
    join(paths.config, 'policy.yaml'),
    `version: 1\n${policy}\nshare: { ready: ${ready} }\nwaive: [${waived.join(', ')}]\n`,
    { mode: 0o600 },
  );
  const stdio = await connectStdio(site);
  const served = await serve(site);
  const http = new Client({ name: 'bench', version: '1' });
  const headers = { authorization: `Bearer ${served.token}` };
  await http.connect(new StreamableHTTPClientTransport(served.url, { requestInit: { headers } }));
  const timed = {
    'create_session over stdio': () => timeSession(stdio, site),
    'create_session over HTTP': () => timeSession(http, site),
    'casemate run -- true': () => timeRun(site),
  };
  return {
    time: (face: Face) => timed[face](),
    async close() {
      await Promise.all([stdio.close(), http.close()]);
      await served.stop();
    },
  };
}

async function connectStdio({ env, folder, project }: Site): Promise<Client> {
  const client = new Client({ name: 'bench', version: '1' });
  await client.connect(
    new StdioClientTransport({
      command: process.execPath,
      args: [program, 'mcp', '--root', folder],
      env: { ...env },
      cwd: project,
      stderr: 'inherit',
    }),
  );
  return client;
}

async function timeRun({ env, project }: Site): Promise<number> {
  const started = performance.now();
  const { exitCode, stderr } = (await attempt(launcher, ['run', '--', 'true'], { env, cwd: project })) ?? {
    exitCode: 1,
    stderr: '',
  };
  if (exitCode !== 0) {
    throw new Error(String(stderr));
  }
  return performance.now() - started;
}

async function timeFirstSession(site: Site): Promise<number> {
  const started = performance.now();
  const client = await connectStdio(site);
  const connectedMs = performance.now() - started;
  try {
    return connectedMs + (await timeSession(client, site));
  } finally {
    await client.close();
  }
}

async function timeSession(client: Client, { project }: Site): Promise<number> {
  const call = async (name: string, args: Record<string, unknown>) => {
    const { isError, content, structuredContent } = await client.callTool({ name, arguments: args });
    if (isError === true) {
      throw new Error(JSON.stringify(content));
    }
    return structuredContent as { sessionId: string };
  };
  const started = performance.now();
  const { sessionId } = await call('create_session', { projectPath: project, agent: 'none' });
  const ms = performance.now() - started;
  await call('destroy_session', { sessionId });
  return ms;
}

async function serve({ env, folder, project }: Site) {
  const probe = createServer();
  const port = await listen(probe);
  await new Promise((done) => probe.close(done));
  const added = await attempt(process.execPath, [program, 'caller', 'add', 'bench', '--root', folder], { env, cwd: project });
  const stdio = ['ignore', 'ignore', 'pipe'] as const;
  const server = spawnProcess(process.execPath, [program, 'mcp', 'serve', '--port', String(port)], {
    env,
    cwd: project,
    stdio: [...stdio],
  });
  const ended = new Promise((resolve) => server.once('exit', resolve));
  await new Promise<void>((resolve, reject) => {
    server.stderr?.on('data', (piece: Buffer) => void (piece.includes('/mcp') && resolve()));
    server.once('exit', () => reject(new Error('the server ended')));
  });
  return {
    url: new URL(`http://127.0.0.1:${port}/mcp`),
    token: added?.stdout.toString('utf8').trim() ?? '',
    async stop() {
      server.kill('SIGTERM');
      await ended;
    },
  };
}
