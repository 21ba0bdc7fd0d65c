/** Proxies of others that do what the gateway does, each started alone on a port of loopback, as light as it can be. */
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer, connect, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { spawnProcess } from '../src/system/process.ts';
import { attempt, hostEnv } from './measure.ts';
import { installSrt, srtPackage } from './srt.ts';

export interface Proxy {
  readonly version: string;
  readonly port: number;
  readonly pid: number;
  /** its certificate authority, PEM, where it opens TLS */
  readonly ca: readonly string[];
  readonly stop: () => Promise<void>;
}

export interface ProxyOptions {
  /** for files of its own */
  readonly folder: string;
  /** whom to trust upstream, PEM file */
  readonly trustFile: string;
  readonly secret: string;
  /** host that is passed on unopened */
  readonly splicedHost: string;
}

/** Why a proxy cannot be measured. */
export type Missing = { readonly missing: string };

export async function startSquid({ folder }: ProxyOptions): Promise<Proxy | Missing> {
  const known = await attempt('squid', ['-v'], { env: withSbin });
  if (known === undefined) {
    return { missing: 'squid is not installed' };
  }
  const port = await freePort();
  const config = join(folder, 'squid.conf');
  const lines = [
    `http_port 127.0.0.1:${port}`,
    'http_access allow all',
    'cache deny all',
    'access_log none',
    'cache_log /dev/null',
    'pid_filename none',
    'shutdown_lifetime 0 seconds',
    'visible_hostname bench',
    'pinger_enable off',
  ];
  await writeFile(config, `${lines.join('\n')}\n`);
  const version = /Version (\S+)/.exec(known.stdout.toString('utf8'))?.[1] ?? 'unknown';
  return started('squid', ['-N', '-f', config], { port, version, env: withSbin });
}

const addon = `
import os

def requestheaders(flow):
    flow.request.headers["x-api-key"] = os.environ["BENCH_SECRET"]
    flow.request.stream = True

def responseheaders(flow):
    flow.response.stream = True
`;

export async function startMitmproxy({ folder, trustFile, secret }: ProxyOptions): Promise<Proxy | Missing> {
  const known = await attempt('mitmdump', ['--version']);
  if (known === undefined) {
    return { missing: 'mitmproxy is not installed' };
  }
  const port = await freePort();
  const script = join(folder, 'mitm.py');
  await writeFile(script, addon);
  const options = [`ssl_verify_upstream_trusted_ca=${trustFile}`, `confdir=${folder}`, 'connection_strategy=lazy'];
  const args = ['-q', '--listen-host', '127.0.0.1', '-p', String(port), '-s', script];
  const version = /Mitmproxy: (\S+)/.exec(known.stdout.toString('utf8'))?.[1] ?? 'unknown';
  const all = [...args, ...options.flatMap((option) => ['--set', option])];
  const proxy = await started('mitmdump', all, { port, version, env: { ...hostEnv, BENCH_SECRET: secret } });
  return 'missing' in proxy ? proxy : { ...proxy, ca: [await readFile(join(folder, 'mitmproxy-ca-cert.pem'), 'utf8')] };
}

/** Its HTTP proxy with its own hook for credentials, without the checks and lists that its manager adds. */
const srtScript = `
import { readFileSync, writeFileSync } from 'node:fs';
const { dist, port, trustFile, caFile, splicedHost } = JSON.parse(process.argv[2]);
const secret = process.env.BENCH_SECRET;
const { createHttpProxyServer } = await import(dist + '/sandbox/http-proxy.js');
const { createMitmCA } = await import(dist + '/sandbox/mitm-ca.js');
const mitmCA = createMitmCA({});
writeFileSync(caFile, mitmCA.certPem);
createHttpProxyServer({
  filter: () => true,
  mitmCA,
  shouldTerminateTLS: (host) => host !== splicedHost,
  mutateHeaders: (headers) => { headers['x-api-key'] = secret; },
  tlsTerminateUpstreamCA: readFileSync(trustFile, 'utf8'),
}).listen(port, '127.0.0.1');
`;

export async function startSrt({ folder, trustFile, secret, splicedHost }: ProxyOptions): Promise<Proxy | Missing> {
  const home = join(folder, 'srt');
  const srt = await installSrt(home);
  if (srt === undefined) {
    return { missing: `${srtPackage} cannot be installed here` };
  }
  const { root, version } = srt;
  const port = await freePort();
  const caFile = join(home, 'ca.pem');
  const script = join(home, 'proxy.mjs');
  await writeFile(script, srtScript);
  const data = JSON.stringify({ dist: join(root, 'dist'), port, trustFile, caFile, splicedHost });
  const env = { ...hostEnv, BENCH_SECRET: secret };
  const proxy = await started(process.execPath, [script, data], { port, version, env });
  return 'missing' in proxy ? proxy : { ...proxy, ca: [await readFile(caFile, 'utf8')] };
}

const withSbin = { ...hostEnv, PATH: `${hostEnv['PATH'] ?? ''}:/usr/sbin:/usr/local/sbin` };

interface Starting {
  readonly port: number;
  readonly version: string;
  readonly env: Readonly<Record<string, string>>;
}

async function started(file: string, args: readonly string[], { port, version, env }: Starting): Promise<Proxy | Missing> {
  const child = spawnProcess(file, args, { env, stdio: 'ignore' });
  const ended = once(child, 'exit').catch(() => undefined);
  for (let tries = 0; tries < 150; tries += 1) {
    await sleep(100);
    if (child.exitCode !== null) {
      return { missing: `${file} ended with ${child.exitCode}` };
    }
    if (await answers(port)) {
      const stop = async (): Promise<void> => {
        child.kill('SIGKILL');
        await ended;
      };
      return { version, port, pid: child.pid ?? 0, ca: [], stop };
    }
  }
  child.kill('SIGKILL');
  return { missing: `${file} did not start in time` };
}

async function answers(port: number): Promise<boolean> {
  const socket = connect({ host: '127.0.0.1', port });
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
