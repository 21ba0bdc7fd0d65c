import { Duplex } from 'node:stream';

import { visible } from '../../../base/text.ts';
import { spawnProcess, type Spawn } from '../../../system/process.ts';
import type { SshEndpoint } from './endpoint.ts';

/**
 * One connection to an engine behind `ssh`, made as Docker's client makes it (docker/cli, `cli/connhelper`): the Docker client
 * on the other side connects its standard streams to the engine. Keys, hosts and jumps are those of the caller's ssh; no one is
 * asked for a password.
 */
export function sshStream(endpoint: SshEndpoint, { env, spawn = spawnProcess }: SshOptions): Duplex {
  const child = spawn('ssh', sshArguments(endpoint), { env: { ...env }, stdio: ['pipe', 'pipe', 'pipe'] });
  const { stdin, stdout, stderr } = child;
  if (stdin === null || stdout === null || stderr === null) {
    throw new Error('ssh has no streams');
  }
  let said = '';
  let heard = false;
  stderr.on('data', (piece: Buffer) => {
    said = (said + piece.toString('utf8')).slice(-400);
  });
  const stream = new Duplex({
    allowHalfOpen: true,
    read: () => void stdout.resume(),
    write: (piece: Buffer, _encoding, done) => void stdin.write(piece, (error) => done(error)),
    final: (done) => void stdin.end(() => done()),
    destroy(error, done) {
      child.kill('SIGTERM');
      done(error);
    },
  });
  stdout.on('data', (piece: Buffer) => {
    heard = true;
    if (!stream.push(piece)) {
      stdout.pause();
    }
  });
  // What it has written is read before its end is known.
  child.once('close', () => {
    if (heard) {
      stream.push(null);
    } else {
      stream.destroy(new Error(`ssh: ${visible(said.trim()) || 'it ended without a word'}`));
    }
  });
  child.once('error', (error) => stream.destroy(error));
  stdin.on('error', () => undefined);
  return stream;
}

export interface SshOptions {
  readonly env: Readonly<Record<string, string>>;
  readonly spawn?: Spawn | undefined;
}

/** Pure. What stands in an address is behind `--`, or the value of an option of its own. */
export function sshArguments({ host, user, port, socket, identity, client }: SshEndpoint): readonly string[] {
  const there = client === 'docker' ? ['docker'] : ['podman', '--remote'];
  return [
    '-T',
    '-o',
    'BatchMode=yes',
    '-o',
    'ConnectTimeout=30',
    ...(user === undefined ? [] : ['-l', user]),
    ...(port === undefined ? [] : ['-p', String(port)]),
    ...(identity === undefined ? [] : ['-i', identity]),
    '--',
    host,
    ...there,
    ...(socket === undefined ? [] : [client === 'docker' ? '--host' : '--url', `unix://${socket}`]),
    'system',
    'dial-stdio',
  ];
}
