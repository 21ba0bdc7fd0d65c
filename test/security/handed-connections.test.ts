import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { createLab, listen, rule, sandboxId, type Lab } from '../helpers/gateway-lab.ts';
import { rawConnect, talk } from '../helpers/raw-client.ts';
import { sinkAt, type Sink } from '../helpers/sink.ts';

/**
 * NET-15 and NET-17. The threat: a verdict that depends on who speaks on a connection. It depends on where the connection
 * was accepted and for which name alone: a relay inside changes nothing, and who is handed a descriptor gets no more than
 * the sandbox it was opened in.
 */

const allowed = 'allowed.example.com';
const denied = 'denied.example.com';
let lab: Lab;
let sink: Sink;
beforeEach(async () => {
  lab = await createLab({ rules: [rule(allowed, { ports: [80] })] });
  sink = await sinkAt(lab, allowed, 80, { plain: true });
});
afterEach(async () => {
  sink.close();
  await lab.close();
});

const get = (host: string): string => `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
const statusOf = ({ text }: { readonly text: string }): string => text.slice(9, 12);

/** A relay in the sandbox: bytes go on as they come. */
async function relayTo(port: number): Promise<{ readonly port: number; readonly close: () => void }> {
  const server = createServer((socket: Socket) => {
    const onward = connect(port, '127.0.0.1');
    socket.on('error', () => onward.destroy());
    onward.on('error', () => socket.destroy());
    socket.pipe(onward).pipe(socket);
  });
  return { port: await listen(server), close: () => void server.close() };
}

test.each([
  ['the allowed name', allowed, allowed, '200'],
  ['a denied name', denied, denied, '403'],
  ['a denied name over the connection of the allowed one', allowed, denied, '421'],
])('%s is answered through a relay as it is directly', async (_, connected, asked, status) => {
  const port = await lab.open(connected, 80);
  const relay = await relayTo(port);
  const direct = await talk(await rawConnect(port), [get(asked)]);
  const relayed = await talk(await rawConnect(relay.port), [get(asked)]);
  expect([statusOf(direct), statusOf(relayed)]).toEqual([status, status]);
  expect(sink.seen.map(({ host }) => host)).toEqual(status === '200' ? [allowed, allowed] : []);
  relay.close();
});

/** Another program that speaks on whatever it is handed, and tells what came back when no more of it comes. */
const program = `
process.on('message', (ask, socket) => {
  let text = '';
  const tell = () => { process.send(text); socket.destroy(); };
  let quiet = setTimeout(tell, 30000);
  socket.on('data', (piece) => {
    text += piece;
    clearTimeout(quiet);
    quiet = setTimeout(tell, 300);
  });
  socket.write(ask);
  socket.resume();
});
process.send('ready');
`;

test.each([
  [allowed, '200'],
  [denied, '421'],
])('who is handed a connection and asks for %s on it is judged as the sandbox that opened it', async (asked, status) => {
  const other = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  await once(other, 'message');
  const socket = await rawConnect(await lab.open(allowed, 80));
  const answer = once(other, 'message');
  other.send(get(asked), socket);
  const [text] = (await answer) as [string];
  expect(statusOf({ text })).toBe(status);
  await lab.settled();
  expect(lab.entries.map(({ sandbox }) => sandbox)).not.toHaveLength(0);
  expect(new Set(lab.entries.map(({ sandbox }) => sandbox))).toEqual(new Set([sandboxId]));
  expect(sink.seen).toHaveLength(status === '200' ? 1 : 0);
  other.kill();
});
