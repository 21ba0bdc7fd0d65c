/** Engines behind TLS and behind ssh, both on loopback, with certificates and keys that are made for the test. */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { appendFile, chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { userInfo } from 'node:os';
import { join } from 'node:path';

import type { TlsFiles } from '../../src/engines/docker/place/endpoint.ts';
import { programFolders, processEnvironment } from '../../src/system/environment.ts';
import { run } from '../../src/system/process.ts';
import { unusedPort } from './unused-port.ts';

const env = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' };

export interface Running {
  readonly child: ChildProcess;
  readonly stop: () => Promise<void>;
}

export interface Certificates {
  /** of the engine, for 127.0.0.1 */
  readonly server: Required<TlsFiles>;
  /** of who asks */
  readonly client: Required<TlsFiles>;
}

export function hasProgram(name: string): boolean {
  const folders = [...programFolders(processEnvironment), '/usr/sbin', '/sbin'];
  return folders.some((folder) => existsSync(join(folder, name)));
}

/** An authority, and certificates of it for both ends. */
export async function makeCertificates(folder: string, { address = 'IP:127.0.0.1' } = {}): Promise<Certificates> {
  await mkdir(folder, { recursive: true });
  const at = (name: string): string => join(folder, name);
  const openssl = async (...args: readonly string[]): Promise<void> => {
    const { exitCode, stderr } = await run('openssl', args, { env, timeoutMs: 60_000 });
    if (exitCode !== 0) {
      throw new Error(stderr.toString('utf8'));
    }
  };
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  await openssl('req', '-x509', ...newKey, '-keyout', at('ca-key.pem'), '-out', at('ca.pem'), '-days', '2', '-subj', '/CN=test');
  const issue = async (name: string, extension: string): Promise<Required<TlsFiles>> => {
    await openssl('req', ...newKey, '-keyout', at(`${name}-key.pem`), '-out', at(`${name}.csr`), '-subj', `/CN=${name}`);
    await writeFile(at(`${name}.ext`), extension);
    const signer = ['-CA', at('ca.pem'), '-CAkey', at('ca-key.pem'), '-CAcreateserial'];
    const request = ['-in', at(`${name}.csr`), '-extfile', at(`${name}.ext`), '-days', '2', '-out', at(`${name}.pem`)];
    await openssl('x509', '-req', ...request, ...signer);
    return { ca: at('ca.pem'), cert: at(`${name}.pem`), key: at(`${name}-key.pem`) };
  };
  const server = await issue('server', `subjectAltName=${address}\nextendedKeyUsage=serverAuth\n`);
  return { server, client: await issue('client', 'extendedKeyUsage=clientAuth\n') };
}

/** One that sees another folder in the place of this one, as an engine on another machine would: with an empty `there` in it. */
export interface Hiding {
  readonly hides: string;
}

/** A Docker Engine of its own on a port of loopback that asks for a certificate. */
export async function tlsDockerd(
  folder: string,
  { server, hides }: Certificates & Hiding,
): Promise<Running & { readonly port: number }> {
  const port = await unusedPort();
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'daemon.json'), '{}');
  const tls = ['--tlsverify', `--tlscacert=${server.ca}`, `--tlscert=${server.cert}`, `--tlskey=${server.key}`];
  const own = ['--containerd-namespace=casemate-tls', '--containerd-plugins-namespace=casemate-tls-plugins'];
  const args = [`--host=tcp://127.0.0.1:${port}`, ...tls, ...placesBelow(folder), ...bare, ...own];
  const cover = 'mount -t tmpfs none "$1" && mkdir "$1/there" && chown 1000:1000 "$1/there" && shift && exec "$@"';
  const apart = ['--mount', '--propagation', 'private', '--', 'sh', '-c', cover, 'sh', hides, 'dockerd', ...args];
  return { port, ...(await started('unshare', apart, { at: onLoopback(port), log: join(folder, 'log') })) };
}

/** One of its own that gives its containers other ids: those of a range that no user of this machine has. */
export async function remappedDockerd(folder: string): Promise<Running & { readonly socket: string }> {
  const [socket, ranges] = [join(folder, 'engine.sock'), join(folder, 'ranges')];
  await mkdir(folder, { recursive: true });
  // Those ids have to get through to its images.
  await chmod(folder, 0o711);
  await writeFile(join(folder, 'daemon.json'), '{}');
  await writeFile(ranges, ['nobody', 'nogroup'].map((name) => `${name}:1900000000:65536\n`).join(''));
  const own = ['--containerd-namespace=casemate-ids', '--containerd-plugins-namespace=casemate-ids-plugins'];
  const args = [`--host=unix://${socket}`, '--userns-remap=nobody:nogroup', ...placesBelow(folder), ...bare, ...own];
  const cover = 'mount --bind "$1" /etc/subuid && mount --bind "$1" /etc/subgid && shift && exec "$@"';
  const apart = ['--mount', '--propagation', 'private', '--', 'sh', '-c', cover, 'sh', ranges, 'dockerd', ...args];
  return { socket, ...(await started('unshare', apart, { at: { path: socket }, log: join(folder, 'log') })) };
}

function placesBelow(folder: string): readonly string[] {
  return [
    `--config-file=${join(folder, 'daemon.json')}`,
    `--data-root=${join(folder, 'data')}`,
    `--exec-root=${join(folder, 'exec')}`,
    `--pidfile=${join(folder, 'pid')}`,
    '--exec-opt=native.cgroupdriver=cgroupfs',
  ];
}

/** Without a network or a rule of packets of its own. */
const bare = ['--bridge=none', '--iptables=false', '--ip6tables=false', '--ip-forward=false', '--ip-masq=false'];

export interface LoopbackSsh extends Running {
  readonly port: number;
  readonly user: string;
  /** of the one who may come in */
  readonly identity: string;
  /** whole environment in which `ssh` knows the host */
  readonly env: Readonly<Record<string, string>>;
  /** the same, where connections share one login */
  readonly shared: Readonly<Record<string, string>>;
}

/** An sshd that lets this very user in with a key of the test's, and nobody else. */
export async function loopbackSsh(folder: string): Promise<LoopbackSsh> {
  const port = await unusedPort();
  const home = join(folder, 'home');
  await mkdir(join(home, '.ssh'), { recursive: true, mode: 0o700 });
  const keygen = async (file: string): Promise<string> => {
    await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', file], { env, timeoutMs: 60_000 });
    return (await readFile(`${file}.pub`, 'utf8')).trim();
  };
  const [host, identity] = [join(folder, 'host'), join(folder, 'identity')];
  const [hostKey, clientKey] = [await keygen(host), await keygen(identity)];
  await writeFile(join(folder, 'authorized'), `${clientKey}\n`, { mode: 0o600 });
  const settings = [
    `HostKey ${host}`,
    `AuthorizedKeysFile ${join(folder, 'authorized')}`,
    `PidFile ${join(folder, 'sshd.pid')}`,
    `Port ${port}`,
    'ListenAddress 127.0.0.1',
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    'UsePAM no',
    'StrictModes no',
    'PermitRootLogin prohibit-password',
    'AllowTcpForwarding no',
  ];
  await writeFile(join(folder, 'sshd_config'), `${settings.join('\n')}\n`);
  // Made by the service of the machine, which does not run here.
  await mkdir('/run/sshd', { recursive: true, mode: 0o755 }).catch(() => undefined);
  const running = await started('/usr/sbin/sshd', ['-D', '-e', '-f', join(folder, 'sshd_config')], {
    at: onLoopback(port),
    log: join(folder, 'log'),
  });
  // `ssh` finds its home by the account, not by a variable: what it knows of hosts is named by a program before it.
  const known = join(folder, 'known');
  await appendFile(known, `[127.0.0.1]:${port} ${hostKey.split(' ').slice(0, 2).join(' ')}\n`);
  const options = `-F /dev/null -o UserKnownHostsFile=${known} -o GlobalKnownHostsFile=/dev/null -o StrictHostKeyChecking=yes -o IdentitiesOnly=yes`;
  const kept = `-o ControlMaster=auto -o ControlPath=${join(folder, 'kept')} -o ControlPersist=10`;
  const envWith = async (name: string, more: string): Promise<Readonly<Record<string, string>>> => {
    const bin = join(folder, name);
    await mkdir(bin);
    await writeFile(join(bin, 'ssh'), `#!/bin/sh\nexec /usr/bin/ssh ${options} ${more} "$@"\n`);
    await chmod(join(bin, 'ssh'), 0o755);
    return { ...env, PATH: `${bin}:${env.PATH}`, HOME: home };
  };
  const [each, shared] = [await envWith('each', ''), await envWith('shared', kept)];
  return { port, user: userInfo().username, identity, env: each, shared, ...running };
}

/** From now on nobody has told who has which key. */
export async function forgetHost(folder: string): Promise<void> {
  await writeFile(join(folder, 'known'), '');
}

type Listening = { readonly path: string } | { readonly host: string; readonly port: number };

const onLoopback = (port: number): Listening => ({ host: '127.0.0.1', port });

interface Starting {
  readonly at: Listening;
  readonly log: string;
}

/** Ends with this process, also where it is killed. */
async function started(file: string, args: readonly string[], { at, log }: Starting): Promise<Running> {
  let said = '';
  const child = spawn('setpriv', ['--pdeathsig', 'TERM', '--', file, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const keep = (piece: Buffer): void => {
    said = (said + piece.toString('utf8')).slice(-4000);
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  const closed = new Promise<void>((resolve) => {
    child.once('close', () => resolve());
  });
  const latest = performance.now() + 60_000;
  while (!(await listens(at))) {
    if (child.exitCode !== null || performance.now() > latest) {
      child.kill();
      throw new Error(`${file} does not answer: ${said.slice(-600)}`);
    }
    await new Promise((resolve) => {
      setTimeout(resolve, 50);
    });
  }
  await writeFile(log, said);
  return {
    child,
    async stop() {
      child.kill('SIGTERM');
      await closed;
    },
  };
}

async function listens(at: Listening): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(at);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
