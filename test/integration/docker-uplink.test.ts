/** The way to the gateway of an engine that shares no socket with this host, forced on one that does. */
import { once } from 'node:events';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { dockerClient } from '../../src/engines/docker/docker-client.ts';
import { fieldsOf, rowsOf, textOf } from '../../src/engines/docker/read-json.ts';
import type { Ingress } from '../../src/system/ingress.ts';
import { answerOf } from '../helpers/answer-of.ts';
import { dockerLab, dockerLacks, dockerSocket, type DockerLab } from '../helpers/docker-lab.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

const client = dockerClient(dockerSocket);

describe.skipIf(!engineOrSkip('docker', await dockerLacks()))('a sandbox under an engine that shares no sockets', () => {
  let lab: DockerLab;
  beforeAll(async () => {
    lab = await dockerLab('docker', { uplink: { network: 'host', host: '127.0.0.1' } });
  });
  afterAll(async () => {
    await lab.remove();
  });

  /** Says to what each connection and datagram was, then gives back what comes. */
  function echo(ingress: Ingress): void {
    ingress.serve({
      connection({ socket, localAddress, localPort }) {
        socket.on('error', () => undefined);
        socket.write(`${localAddress}:${localPort}\n`);
        socket.pipe(socket);
      },
      datagram: ({ data, localPort, reply }) => reply(Buffer.from(`${Buffer.from(data).toString('utf8')} ${localPort}`)),
    });
  }
  const bash = async (id: string, script: string) => lab.inside(id, ['bash', '-c', script]);
  const firstLine = async (id: string, place: string) => (await bash(id, `exec 3<>/dev/tcp/${place} && head -n 1 <&3`)).out;

  test('reaches the gateway by name and by datagrams, many at once, byte for byte; nothing stays of it', async () => {
    const spec = await lab.spec();
    await lab.engine.create(spec);
    const ingress = await lab.engine.ingress(spec.id, { tcp: [443, 8080], udp: [53] });
    echo(ingress);
    await lab.engine.start(spec.id);
    expect(await firstLine(spec.id, '127.64.0.9/443')).toBe('127.64.0.9:443\n');
    expect(await firstLine(spec.id, '127.64.1.2/8080')).toBe('127.64.1.2:8080\n');
    const asked = await bash(spec.id, 'exec 3<>/dev/udp/127.0.0.1/53 && printf hi >&3 && timeout 20 head -c 5 <&3');
    expect(asked.out).toBe('hi 53');
    // More than there are tokens ahead, each with its end told both ways.
    const many = 'for i in $(seq 80); do (exec 3<>/dev/tcp/127.64.0.$i/443 && head -n 1 <&3) & done; wait';
    const lines = (await bash(spec.id, many)).out.trim().split('\n').toSorted();
    expect(lines).toEqual(Array.from({ length: 80 }, (_, index) => `127.64.0.${index + 1}:443`).toSorted());
    const sent = 64 * 65_536;
    // Sent and read at one moment; its end is told, and comes back.
    const much = `socket(S, 2, 1, 0); connect(S, pack("SnC4x8", 2, 443, 127, 64, 0, 9)) or die $!; if (!fork) {
      for (1 .. 64) { my $d = "0123456789abcdef" x 4096; substr($d, 0, syswrite(S, $d)) = "" while length $d }
      shutdown(S, 1); exit } my $all = ""; 1 while sysread(S, $all, 65536, length $all);
      print length $all, " ", $all =~ /443\\n(?:0123456789abcdef)+\\z/ ? "whole" : "cut"`;
    expect((await lab.inside(spec.id, ['perl', '-e', much])).out).toBe(`${sent + '127.64.0.9:443\n'.length} whole`);
    await ingress.close();
    expect((await bash(spec.id, 'exec 3<>/dev/tcp/127.64.0.9/443 && cat <&3')).out).toBe('');
    await lab.engine.remove(spec.id);
    expect(await leftOf(spec.id)).toEqual([]);
  });

  test('reaches no other port of the host, nor the one of the daemon itself', async () => {
    const host = createServer((socket) => socket.end('the host\n'));
    host.listen(0, '127.0.0.1');
    await once(host, 'listening');
    const before = await listeningPorts();
    const spec = await lab.spec();
    await lab.engine.create(spec);
    const ingress = await lab.engine.ingress(spec.id, { tcp: [443], udp: [] });
    echo(ingress);
    await lab.engine.start(spec.id);
    const { port } = host.address() as AddressInfo;
    const own = [...(await listeningPorts())].filter((one) => !before.has(one));
    expect(await answerOf(port)).toBe('the host\n');
    // The positive control: the same question to a port that is its own.
    expect(await firstLine(spec.id, '127.0.0.1/443')).toBe('127.0.0.1:443\n');
    expect(own.length).toBeGreaterThan(0);
    for (const one of [port, ...own]) {
      expect((await bash(spec.id, `exec 3<>/dev/tcp/127.0.0.1/${one}`)).err).toContain('Connection refused');
    }
    // Nobody who can reach the daemon's port is let in without a token.
    expect(await Promise.all(own.map(async (one) => answerOf(one, `${'0'.repeat(64)}\ntcp 127.0.0.1 443\n`)))).toEqual(
      own.map(() => ''),
    );
    await ingress.close();
    host.close();
    await lab.engine.remove(spec.id);
  });

  test('keeps its way however many connections it breaks off before anything is said', async () => {
    const spec = await lab.spec();
    await lab.engine.create(spec);
    const ingress = await lab.engine.ingress(spec.id, { tcp: [443], udp: [] });
    echo(ingress);
    await lab.engine.start(spec.id);
    // Reset at moments of chance (SO_LINGER of nothing), by several programs at once.
    const reset = `for (1 .. 8) { next if fork; for (1 .. 600) { socket(my $s, 2, 1, 0); connect($s, pack("SnC4x8", 2, 443, 127, 64, 0, 9)) or exit 1;
      select undef, undef, undef, rand() * 0.0008; setsockopt($s, 1, 13, pack("ii", 1, 0)) or exit 2; close $s } exit 0 }
      my @ends; for (1 .. 8) { wait; push @ends, $? } print "@ends"`;
    expect((await lab.inside(spec.id, ['perl', '-e', reset], { timeoutMs: 100_000 })).out).toBe('0 0 0 0 0 0 0 0');
    expect((await bash(spec.id, 'exec 3<>/dev/tcp/127.64.0.9/443 && timeout 20 head -n 1 <&3')).out).toBe('127.64.0.9:443\n');
    await ingress.close();
    await lab.engine.remove(spec.id);
  });

  test('has its way anew from another process, and loses it with the one that has it', async () => {
    const spec = await lab.spec();
    await lab.engine.create(spec);
    const first = await lab.engine.ingress(spec.id, { tcp: [443], udp: [] });
    echo(first);
    await lab.engine.start(spec.id);
    await first.close();
    const other = lab.other();
    const second = await eventually(async () => other.ingress(spec.id, { tcp: [443], udp: [] }));
    echo(second);
    expect(await firstLine(spec.id, '127.64.0.9/443')).toBe('127.64.0.9:443\n');
    await expect(lab.engine.ingress(spec.id, { tcp: [443], udp: [] })).rejects.toThrow(/443/);
    await second.close();
    await lab.engine.remove(spec.id);
  });

  test('has an uplink with no right, no file and no process of the sandbox', async () => {
    const spec = await lab.started();
    const rows = rowsOf(await client.must('GET', '/containers/json', { query: { all: true, filters: labelled(spec.id) } })).map(
      fieldsOf,
    );
    const uplink = rows.find((row) => fieldsOf(row['Labels'])['casemate.part'] === 'uplink');
    const sandbox = rows.find((row) => fieldsOf(row['Labels'])['casemate.part'] === 'sandbox');
    const told = fieldsOf(await client.must('GET', `/containers/${textOf(uplink?.['Id'])}/json`));
    const host = fieldsOf(told['HostConfig']);
    expect([host['CapDrop'], host['ReadonlyRootfs'], host['Privileged'], host['Binds'] ?? []]).toEqual([
      ['ALL'],
      true,
      false,
      [],
    ]);
    expect(rowsOf(told['Mounts']).map((row) => fieldsOf(row)['Destination'])).toEqual(['/mnt']);
    const seen = fieldsOf(await client.must('GET', `/containers/${textOf(sandbox?.['Id'])}/json`));
    expect(rowsOf(seen['Mounts']).map((row) => fieldsOf(row)['Destination'])).not.toContain('/mnt');
    expect((await bash(spec.id, 'ls -A /mnt')).out).toBe('');
    await lab.engine.remove(spec.id);
  });

  async function leftOf(sandbox: string): Promise<readonly unknown[]> {
    const query = { all: true, filters: labelled(sandbox) };
    const volumes = fieldsOf(await client.must('GET', '/volumes', { query: { filters: labelled(sandbox) } }));
    return [...rowsOf(await client.must('GET', '/containers/json', { query })), ...rowsOf(volumes['Volumes'])];
  }
});

function labelled(sandbox: string): string {
  return JSON.stringify({ label: [`casemate.sandbox=${sandbox}`] });
}

/**
 * The ports that this process listens on, on any address of version 4 (proc(5), `net/tcp`): of it alone, since other
 * tests listen at the same time.
 */
async function listeningPorts(): Promise<ReadonlySet<number>> {
  const links = await Promise.all(
    (await readdir('/proc/self/fd')).map(async (name) => readlink(`/proc/self/fd/${name}`).catch(() => '')),
  );
  const own = new Set(links.map((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1]));
  const rows = (await readFile('/proc/net/tcp', 'utf8')).split('\n').slice(1);
  return new Set(
    rows.flatMap((row) => {
      const [, local = '', , state, , , , , , inode = ''] = row.trim().split(/\s+/);
      return state === '0A' && own.has(inode) ? [Number.parseInt(local.split(':')[1] ?? '', 16)] : [];
    }),
  );
}

/** The relay of the one before ends a moment after its connection. */
async function eventually<T>(work: () => Promise<T>): Promise<T> {
  const latest = performance.now() + 30_000;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (performance.now() > latest) {
        throw error;
      }
      await new Promise((resolve) => {
        setTimeout(resolve, 50);
      });
    }
  }
}
