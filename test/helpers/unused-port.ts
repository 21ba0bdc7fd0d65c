import { randomInt } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';

/**
 * A port of loopback for a program that has to be told one. The kernel gives ports of one range to whoever asks for any (ip(7),
 * `ip_local_port_range`), and tests beside this one do all the time: this is none of them, so it is free when that program starts.
 */
export async function unusedPort(): Promise<number> {
  const [first = 32_768, last = 60_999] = await givenAway();
  const [from, to] = first > 12_000 ? [10_000, first] : [last + 1, 65_536];
  for (;;) {
    const port = randomInt(from, to);
    if (await isFree(port)) {
      return port;
    }
  }
}

async function givenAway(): Promise<readonly number[]> {
  const text = await readFile('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').catch(() => '');
  return text.trim() === '' ? [] : text.trim().split(/\s+/).map(Number);
}

function isFree(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const server = createServer();
  server.once('error', () => resolve(false));
  server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  return promise;
}
