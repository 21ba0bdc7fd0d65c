/** A port of loopback that lets in whoever shows a token that was not used: once, and nobody else. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { datagramReader } from '../../../src/engines/docker/uplink/datagram-frames.ts';
import { streamIngress, type StreamIngress } from '../../../src/engines/docker/uplink/stream-ingress.ts';

let ingress: StreamIngress;

beforeEach(async () => {
  await open(60_000);
});
afterEach(() => ingress.close());

async function open(patienceMs: number): Promise<void> {
  ingress = await streamIngress({ patienceMs });
  ingress.serve({
    connection: ({ socket, localAddress, localPort, remotePort = '' }) => {
      socket.write(`${localAddress}:${localPort} ${remotePort}`);
      socket.pipe(socket);
    },
    datagram: ({ data, reply }) => reply(Buffer.from(`${Buffer.from(data).toString('utf8')}!`)),
  });
}

describe('a connection to the port of an uplink', () => {
  it('with a token is handed on with the address that was asked for, and nothing of it is lost', async () => {
    expect(await answer(`${ingress.token()}\ntcp 127.64.0.9 443\nhello`)).toBe('127.64.0.9:443 hello');
  });

  it('is told with the port of the end that the sandbox has', async () => {
    expect(await answer(`${ingress.token()}\ntcp 127.0.0.1 443 40123\n`)).toBe('127.0.0.1:443 40123');
  });

  it('is let in once by each token', async () => {
    const token = ingress.token();
    expect(await answer(`${token}\ntcp 127.0.0.1 1\n`)).toBe('127.0.0.1:1 ');
    expect(await answer(`${token}\ntcp 127.0.0.1 1\n`)).toBe('');
  });

  it('is let in by no token while another one holds it, though both come at one moment', async () => {
    const token = ingress.token();
    const both = await Promise.all([1, 2].map(async () => answer(`${token}\ntcp 127.0.0.1 1\n`)));
    expect(both.toSorted()).toEqual(['', '127.0.0.1:1 ']);
  });

  it.each<[string, string, number?]>([
    ['no token', '\ntcp 127.0.0.1 1\n'],
    ['a token that nobody gave', `${'a'.repeat(64)}\ntcp 127.0.0.1 1\n`],
    ['a line without an end', 'a'.repeat(5000)],
    ['nothing', '', 300],
  ])('with %s is cut off', async (_, text, patienceMs = 60_000) => {
    await ingress.close();
    await open(patienceMs);
    ingress.token();
    expect(await answer(text, { ends: false })).toBe('');
  });

  it.each(['udp 127.0.0.1', 'tcp ::1 443', 'tcp 127.0.0.1 0', 'unix /x', 'tcp 127.0.0.1 443 more'])(
    'that asks for "%s" is cut off',
    async (asked) => {
      expect(await answer(`${ingress.token()}\n${asked}\n`)).toBe('');
    },
  );

  it('is let in though others hold all the room there is and say nothing', async () => {
    const patient = await streamIngress({ patienceMs: 60_000 });
    patient.serve({ connection: ({ socket }) => socket.end('let in'), datagram: () => undefined });
    const silent = Array.from({ length: 400 }, () => connect(patient.port, '127.0.0.1'));
    silent.forEach((socket) => socket.on('error', () => undefined));
    await Promise.all(silent.map(async (socket) => once(socket, 'connect').catch(() => undefined)));
    expect(await answer(`${patient.token()}\ntcp 127.0.0.1 1\n`, { port: patient.port })).toBe('let in');
    silent.forEach((socket) => socket.destroy());
    await patient.close();
  });

  it('is let in by a token however many were lost before it, and they are worth something for so long only', async () => {
    const first = ingress.token();
    const second = Array.from({ length: 4096 }, () => ingress.token())[0] ?? '';
    expect(await answer(`${first}\ntcp 127.0.0.1 1\n`)).toBe('');
    expect(await answer(`${second}\ntcp 127.0.0.1 1\n`)).toBe('127.0.0.1:1 ');
  });

  it('carries datagrams with who sent them', async () => {
    const frame = Buffer.concat([Buffer.from([0, 2, 127, 0, 0, 1, 0xab, 0xcd]), Buffer.from('hi')]);
    const said = await answer(Buffer.concat([Buffer.from(`${ingress.token()}\nudp 127.0.0.1 53\n`), frame]), {
      ends: false,
      bytes: 11,
    });
    expect(Buffer.from(said, 'latin1')).toEqual(
      Buffer.concat([Buffer.from([0, 3, 127, 0, 0, 1, 0xab, 0xcd]), Buffer.from('hi!')]),
    );
  });

  it('is not had after the end, with a token of before', async () => {
    const token = ingress.token();
    const { port } = ingress;
    await ingress.close();
    await expect(answer(`${token}\ntcp 127.0.0.1 1\n`, { port })).rejects.toThrow(/ECONNREFUSED/);
  });
});

it('datagrams are read wherever the stream is cut', () => {
  const sent = Buffer.concat(
    ['a', '', 'longer'].map((text) => Buffer.concat([Buffer.from([0, text.length, 1, 2, 3, 4, 5, 6]), Buffer.from(text)])),
  );
  for (const size of [1, 3, 9, sent.length]) {
    const taken: string[] = [];
    const take = datagramReader(({ data, source }) =>
      taken.push(`${Buffer.from(source).toString('hex')} ${Buffer.from(data).toString()}`),
    );
    for (let start = 0; start < sent.length; start += size) {
      take(sent.subarray(start, start + size));
    }
    expect(taken).toEqual(['010203040506 a', '010203040506 ', '010203040506 longer']);
  }
});

async function answer(
  text: string | Buffer,
  { ends = true, port = ingress.port, bytes }: { ends?: boolean; port?: number; bytes?: number } = {},
): Promise<string> {
  const socket: Socket = connect(port, '127.0.0.1');
  let said = '';
  let fault: Error | undefined;
  socket.on('error', (error: NodeJS.ErrnoException) => {
    // Being cut off may be seen as a reset.
    fault = error.code === 'ECONNREFUSED' ? error : undefined;
  });
  socket.on('data', (piece: Buffer) => {
    said += piece.toString('latin1');
    if (said.length === bytes) {
      socket.destroy();
    }
  });
  socket.write(text);
  if (ends) {
    socket.end();
  }
  await new Promise((done) => socket.once('close', done));
  if (fault !== undefined) {
    throw fault;
  }
  return said;
}
