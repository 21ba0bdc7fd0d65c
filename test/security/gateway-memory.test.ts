/** G20, G22: what one sandbox makes the gateway hold is bounded, and its floods do not slow another sandbox down. */
import { fork, type ChildProcess } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import { afterEach, expect, test } from 'vitest';

import { memoryBoundBytes } from '../../src/gateway/limits.ts';
import type { Flood } from '../helpers/flood-process.ts';
import { createLab, credential, rule, type Lab } from '../helpers/gateway-lab.ts';
import { ownTime } from '../helpers/own-time.ts';
import { talk, tlsTo } from '../helpers/raw-client.ts';
import { sinkAt } from '../helpers/sink.ts';

const host = 'big.example.com';
const MiB = 1024 * 1024;
let labs: Lab[] = [];
let child: ChildProcess | undefined;

afterEach(async () => {
  child?.kill('SIGKILL');
  await Promise.all(labs.splice(0).map((lab) => lab.close()));
  labs = [];
});

function told<T>(from: ChildProcess, name: string): Promise<T> {
  return new Promise((resolve) => {
    const listen = (message: Readonly<Record<string, T>>): void => {
      if (name in message) {
        from.off('message', listen);
        resolve(message[name] as T);
      }
    };
    from.on('message', listen);
  });
}

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Heap and buffers in use after a collection. */
async function heldBytes(): Promise<number> {
  for (let turn = 0; turn < 3; turn += 1) {
    collect();
    await sleep(50);
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

async function labOf(upstream?: number): Promise<Lab> {
  const to = upstream === undefined ? {} : { upstream: `http://127.0.0.1:${upstream}` };
  const lab = await createLab({
    rules: [rule(host, { credential: 'anthropic', ...to }), rule('quiet.example.com', { credential: 'anthropic' })],
    credentials: [credential()],
    gateway: { limits: { connectionsPerSecond: 5000 } },
  });
  labs.push(lab);
  return lab;
}

interface Waits {
  readonly median: number;
  /** nine of ten take no longer */
  readonly most: number;
}

/**
 * How long requests of another sandbox take meanwhile, in time of this process's own, where gateway and upstream are: turns of its loop
 * while it waits for them, or processor time where one turn is long. What other programs take of the machine is in neither.
 */
async function waitsOf(neighbour: Lab, port: number): Promise<Waits> {
  const took: number[] = [];
  for (let nth = 0; nth < 30; nth += 1) {
    const used = ownTime();
    let waitedMs = 0;
    const clock = setInterval(() => (waitedMs += 10), 10);
    const socket = await tlsTo(port, 'quiet.example.com', { ca: neighbour.authority.certificatePem });
    const answer = await talk(socket, ['GET / HTTP/1.1\r\nHost: quiet.example.com\r\nConnection: close\r\n\r\n'], {
      quietMs: 5000,
    });
    expect(answer.text).toMatch(/^HTTP\/1\.1 200 /);
    clearInterval(clock);
    took.push(Math.max(waitedMs, used()));
    await sleep(20);
  }
  const sorted = took.toSorted((a, b) => a - b);
  return { median: sorted[14] ?? 0, most: sorted[26] ?? 0 };
}

function words({ median, most }: Waits): string {
  return `${Math.round(median)} (${Math.round(most)}) ms`;
}

test.each<[Flood['kind'], number]>([
  ['slow-readers', 500],
  ['half-heads', 500],
  ['uploads', 250],
])('%s on %i connections', { timeout: 240_000 }, async (kind, count) => {
  const neighbour = await labOf();
  const sink = await sinkAt(neighbour, 'quiet.example.com', 443);
  const neighbourPort = await neighbour.open('quiet.example.com', 443);
  const attacker = await labOf(0);
  const flood: Flood = { kind, count, host, ca: attacker.authority.certificatePem };
  child = fork(new URL('../helpers/flood-process.ts', import.meta.url), [JSON.stringify(flood)]);
  const upstream = await told<number>(child, 'upstream');
  attacker.gateway.update('cm-0123456789abcdef', {
    rules: [rule(host, { credential: 'anthropic', upstream: `http://127.0.0.1:${upstream}` })],
    policyHash: 'f'.repeat(64),
  });
  const port = await attacker.open(host, 443);
  const quiet = await waitsOf(neighbour, neighbourPort);
  const before = await heldBytes();
  const isUp = told(child, 'isUp');
  child.send({ port });
  const during = await waitsOf(neighbour, neighbourPort);
  await isUp;
  await sleep(1500);
  const then = await waitsOf(neighbour, neighbourPort);
  const held = (await heldBytes()) - before;
  const open = attacker.gateway.usage('cm-0123456789abcdef')?.openConnections ?? 0;
  process.stdout.write(
    `${kind}: ${open} connections hold ${Math.round(held / MiB)} MiB; another sandbox waits ${words(during)} while it begins, ${words(then)} then, ${words(quiet)} without it\n`,
  );
  // On a busy machine half a head is closed by its time-out before the last one has come.
  expect(open).toBeGreaterThan(count * 0.3);
  expect(held).toBeLessThan(memoryBoundBytes);
  // Nine of ten wait less than a second.
  expect(Math.max(during.most, then.most)).toBeLessThan(1000);
  sink.close();
});

test('10 000 names', async () => {
  const lab = await labOf();
  const before = await heldBytes();
  for (let nth = 0; nth < 10_000; nth += 1) {
    lab.addressOf(`${nth.toString(16).padStart(60, '0')}.example.com`);
  }
  const held = (await heldBytes()) - before;
  process.stdout.write(`10 000 names hold ${(held / MiB).toFixed(1)} MiB\n`);
  expect(held).toBeLessThan(16 * MiB);
});
