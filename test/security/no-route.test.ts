/** There is no route but the gateway (NET rows, G9): a sandbox has a loopback, our listeners on it, and nothing else. */
import { createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { SandboxSpec } from '../../src/engines/engine.ts';
import type { Ingress } from '../../src/system/ingress.ts';
import { asked, python } from '../helpers/inside-python.ts';
import { ociLab, ociLacks, type OciLab } from '../helpers/oci-lab.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

interface Seen {
  readonly localAddress: string;
  readonly localPort: number;
}

describe.skipIf(!engineOrSkip('oci', await ociLacks()))('the network of a sandbox', () => {
  let lab: OciLab;
  let spec: SandboxSpec;
  let ingress: Ingress;
  const seen: Seen[] = [];
  const ask = (expression: string): Promise<unknown> => asked(lab, spec.id, expression);

  function serve(to: Ingress): void {
    to.serve({
      connection: ({ socket, localAddress, localPort }) => {
        seen.push({ localAddress, localPort });
        socket.end('hello');
        socket.resume();
      },
      datagram: ({ data, localPort, reply }) => {
        seen.push({ localAddress: 'udp', localPort });
        reply(Uint8Array.from(data).toReversed());
      },
    });
  }

  beforeAll(async () => {
    lab = await ociLab();
    spec = await lab.spec();
    await lab.engine.create(spec);
    ingress = await lab.engine.ingress(spec.id, { tcp: [53, 80, 443, 5432], udp: [53] });
    serve(ingress);
    await lab.engine.start(spec.id);
  });
  afterAll(async () => {
    await ingress.close();
    await lab.remove();
  });

  it('leads every address of 127.0.0.0/8 to our listeners, which see the address that was asked for', async () => {
    const read = 'b"".join(iter(lambda: s.recv(99), b"")).decode()';
    const program = `
said = []
for host, port in (('127.64.1.2', 443), ('127.0.0.1', 80), ('127.127.9.9', 5432), ('127.0.0.1', 53)):
    s = socket.create_connection((host, port), 3); said.append(${read})
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.settimeout(3); u.sendto(b'abc', ('127.0.0.1', 53))
answer([said, u.recv(9).decode()])`;
    expect(JSON.parse((await python(lab, spec.id, program)).out)).toEqual([Array(4).fill('hello'), 'cba']);
    expect(seen).toEqual([
      { localAddress: '127.64.1.2', localPort: 443 },
      { localAddress: '127.0.0.1', localPort: 80 },
      { localAddress: '127.127.9.9', localPort: 5432 },
      { localAddress: '127.0.0.1', localPort: 53 },
      { localAddress: 'udp', localPort: 53 },
    ]);
  });

  it('has one interface and no route, so that an attempt fails at once (NET-02, NET-03, NET-07, NET-09)', async () => {
    const started = performance.now();
    const hosts = '"192.0.2.10", "10.0.2.2", "169.254.169.254", "192.168.65.254", "2001:db8::10", "64:ff9b::c000:20a"';
    expect(
      await ask(`[tcp(h, 443) for h in (${hosts})] + [udp(h, 53) for h in ("192.0.2.10", "224.0.0.251", "2001:db8::10")]`),
    ).toEqual(Array(9).fill('ENETUNREACH'));
    // Nine that were waited for would take three seconds each.
    expect(performance.now() - started).toBeLessThan(20_000);
    expect(await ask('[l.split(":")[0].strip() for l in open("/proc/net/dev").read().splitlines()[2:]]')).toEqual(['lo']);
    expect(await ask('open("/proc/net/route").read().splitlines()[1:]')).toEqual([]);
  });

  it('reaches no listener of the host on the loopback address both have (NET-14, LIF-01)', async () => {
    const host = createServer((socket) => socket.end('host'));
    const { promise, resolve } = Promise.withResolvers<void>();
    host.listen(0, '127.0.0.1', resolve);
    await promise;
    const address = host.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    expect(await ask(`tcp("127.0.0.1", ${port})`)).toBe('ECONNREFUSED');
    host.close();
  });

  it('cannot be given another address or route from inside (NET-12)', async () => {
    const program = `
s = socket.socket(16, 3, 0); s.bind((0, 0))
s.send(struct.pack("<IHHIIBBBBBBBBI", 28, 24, 0x605, 1, 0, 2, 0, 0, 0, 254, 4, 0, 1, 0))
answer(struct.unpack("<i", s.recv(99)[16:20])[0])`;
    expect(JSON.parse((await python(lab, spec.id, program)).out)).toBe(-1);
  });

  it('cannot take the place of a listener', async () => {
    const bind = (port: number) => `attempt(lambda: socket.create_server(("127.0.0.1", ${port}), reuse_port=True))`;
    expect(await ask(`[${bind(443)}, ${bind(5432)}, ${bind(8080)}]`)).toEqual(['EACCES', 'EADDRINUSE', 'DONE']);
  });

  it('is not shared with another sandbox (NET-08)', async () => {
    const other = await lab.started();
    const listening = lab.inside(spec.id, [
      'python3',
      '-c',
      'import socket; s = socket.create_server(("0.0.0.0", 8000)); s.settimeout(3); print(s.accept())',
    ]);
    expect(await asked(lab, other.id, '[tcp(h, p) for h in ("127.0.0.1", "127.64.0.1") for p in (8000, 443)]')).toEqual(
      Array(4).fill('ECONNREFUSED'),
    );
    expect((await listening).err).toContain('timed out');
    await lab.engine.remove(other.id);
  });

  it('is gone when our listeners are closed, and can be taken back after that (LIF-01)', async () => {
    await ingress.close();
    expect(await ask('[tcp("127.64.1.2", 443), tcp("192.0.2.1", 443)]')).toEqual(['ECONNREFUSED', 'ENETUNREACH']);
    ingress = await lab.engine.ingress(spec.id, { tcp: [443], udp: [] });
    serve(ingress);
    expect(await ask('tcp("127.64.1.2", 443)')).toBe('DONE');
  });

  it('says which port could not be taken, and keeps none', async () => {
    await ingress.close();
    const first = await lab.engine.ingress(spec.id, { tcp: [443], udp: [] });
    await expect(lab.engine.ingress(spec.id, { tcp: [80, 443], udp: [] })).rejects.toMatchObject({
      code: 'ENGINE_FAILED',
      message: expect.stringContaining('tcp port 443'),
    });
    expect(await ask('tcp("127.64.1.2", 80)')).toBe('ECONNREFUSED');
    await first.close();
    ingress = await lab.engine.ingress(spec.id, { tcp: [80, 443], udp: [53] });
  });
});
