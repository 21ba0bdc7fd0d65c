/** Life of a sandbox under Docker beside the contract: what reaches the gateway, and what is left when a process was killed. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { dockerEngine } from '../../src/engines/docker/engine.ts';
import type { Ingress, IngressConnection } from '../../src/system/ingress.ts';
import { dockerLab, dockerLacks, type DockerLab } from '../helpers/docker-lab.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

describe.skipIf(!engineOrSkip('docker', await dockerLacks()))('a sandbox under Docker', () => {
  let lab: DockerLab;
  beforeAll(async () => {
    lab = await dockerLab();
  });
  afterAll(async () => {
    await lab.remove();
  });

  /** Answers each connection and datagram with what it was to. */
  function serve(ingress: Ingress): void {
    ingress.serve({
      connection: ({ socket, localAddress, localPort }: IngressConnection) => {
        socket.on('error', () => undefined);
        socket.end(`${localAddress}:${localPort}\n`);
      },
      datagram: ({ data, localPort, reply }) => reply(Buffer.from(`${Buffer.from(data).toString('utf8')} ${localPort}`)),
    });
  }
  const ask = async (id: string, place: string) =>
    (await lab.inside(id, ['bash', '-c', `exec 3<>/dev/tcp/${place} && cat <&3`])).out;

  test('reaches the gateway by the address of a name and by datagrams, and nothing else; also after the daemon was killed', async () => {
    const spec = await lab.spec();
    await lab.engine.create(spec);
    const ports = { tcp: [443, 8080], udp: [53] };
    const first = await lab.engine.ingress(spec.id, ports);
    serve(first);
    await lab.engine.start(spec.id);
    expect(await ask(spec.id, '127.64.0.9/443')).toBe('127.64.0.9:443\n');
    expect(await ask(spec.id, '127.64.1.2/8080')).toBe('127.64.1.2:8080\n');
    expect(
      (await lab.inside(spec.id, ['bash', '-c', 'exec 3<>/dev/udp/127.0.0.1/53 && printf hi >&3 && timeout 5 head -c 5 <&3']))
        .out,
    ).toBe('hi 53');
    expect((await lab.inside(spec.id, ['bash', '-c', 'exec 3<>/dev/tcp/192.0.2.1/443'])).err).toContain('Network is unreachable');
    expect((await lab.inside(spec.id, ['bash', '-c', 'exec 3<>/dev/tcp/127.0.0.1/22'])).err).toContain('Connection refused');
    await first.close();
    const other = lab.other();
    expect(await other.list(lab.owner)).toEqual([{ id: spec.id, state: 'running' }]);
    const second = await other.ingress(spec.id, ports);
    serve(second);
    expect(await ask(spec.id, '127.64.0.9/443')).toBe('127.64.0.9:443\n');
    await second.close();
    await lab.engine.remove(spec.id);
  });

  test('does without a port that another holds: it is said, and none stays open', async () => {
    const spec = await lab.started();
    const first = await lab.engine.ingress(spec.id, { tcp: [443], udp: [] });
    await expect(lab.engine.ingress(spec.id, { tcp: [8081, 443], udp: [] })).rejects.toThrow('cannot listen in the sandbox');
    expect((await lab.inside(spec.id, ['bash', '-c', 'exec 3<>/dev/tcp/127.0.0.1/8081'])).err).toContain('Connection refused');
    await first.close();
    await lab.engine.remove(spec.id);
  });

  test('ends a command with its session, and one whose carrier was killed', async () => {
    const spec = await lab.started();
    const begin = async (executionId: string) => {
      const { file, args, env, pidFile } = await lab.engine.attach(spec.id, {
        command: ['sleep', '600'],
        tty: false,
        executionId,
      });
      const child = spawn(file, [...args], { env: { ...env }, stdio: ['pipe', 'ignore', 'ignore'] });
      // The file is there a moment before what it holds.
      let leader = '';
      await expect.poll(async () => (leader = (await readFile(pidFile, 'utf8').catch(() => '')).trim())).toMatch(/^\d+$/);
      return { child, leader };
    };
    const ended = await begin('ended');
    expect(await lab.engine.processes(spec.id)).toContain(Number(ended.leader));
    const exit = once(ended.child, 'exit');
    await lab.engine.endSession(spec.id, ended.leader);
    expect(await exit).toEqual([137, null]);
    const orphan = await begin('orphan');
    const carried = await begin('carried');
    const gone = once(orphan.child, 'exit');
    orphan.child.kill('SIGKILL');
    await gone;
    await lab.engine.endOrphans(spec.id);
    const left = await lab.engine.processes(spec.id);
    expect(left).not.toContain(Number(orphan.leader));
    expect(left).toContain(Number(carried.leader));
    const asked = once(carried.child, 'exit');
    carried.child.kill('SIGTERM');
    expect(await asked).toEqual([143, null]);
    await lab.engine.remove(spec.id);
  });

  test('is said to be stopped while the engine does not answer, and is not forgotten', async () => {
    const spec = await lab.started();
    const silent = dockerEngine({ ...lab.options, socket: join(lab.folder, 'nobody') });
    await silent.tidy();
    expect(await silent.list(lab.owner)).toEqual([{ id: spec.id, state: 'stopped' }]);
    await expect(silent.remove(spec.id)).rejects.toThrow('cannot talk to the engine');
    expect(await lab.engine.list(lab.owner)).toEqual([{ id: spec.id, state: 'running' }]);
    await lab.engine.remove(spec.id);
  });

  test('carries a megabyte both ways, byte for byte', async () => {
    const spec = await lab.started();
    const input = Array.from({ length: 65_536 }, (_, index) => String(index).padStart(15, '0')).join('\n');
    const { out, code } = await lab.inside(spec.id, ['cat'], { input });
    expect(code).toBe(0);
    expect(out === input).toBe(true);
    await lab.engine.remove(spec.id);
  });
});
