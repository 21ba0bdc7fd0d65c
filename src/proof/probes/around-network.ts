import { createSocket } from 'node:dgram';
import { connect } from 'node:net';

import { run } from '../../system/process.ts';
import { attack, control, type Row } from '../finding.ts';
import type { Bench, ProbeTable } from '../probe.ts';
import { text, textMap } from '../read-answer.ts';
import { socketOfItsOwn } from './files.ts';
import type { Sink, SinkAddress } from '../watch/sink.ts';
import type { Watch } from '../watch/watch.ts';

/** Whether anything a sandbox sends arrives: decided by a sink that listens on this host, not by what is said inside. */

const ownListener = (bench: Bench): Row => {
  const seen = text(bench.answer('own_listener'));
  return control('connect to a listener of its own', { expected: 'DONE', seen, ok: seen === 'DONE' });
};

export const aroundNetworkProbes: ProbeTable = {
  'around.reach': {
    where: 'watched',
    title: 'reach this host at each of its addresses, its gateway and the names that engines give it, also through a proxy',
    proves: ['G9'],
    profile: 'full',
    source: 'host aliases of slirp4netns, pasta and Docker; CIS Docker 5.9, 5.30',
    asks: ['reach', 'own_listener'],
    async run(bench, { sink, canaries: { nonce } }) {
      const answers = Object.entries(textMap(bench.answer('reach')));
      const heardHere = await heardFromHost(sink, nonce);
      await sink.settle();
      const rows = answers.map(([what, said]) => reachRow(what, said, heard(sink, `${nonce} ${what}\n`)));
      return { rows: [...rows, ...heardHere, ownListener(bench)] };
    },
  },
  'around.names': {
    where: 'watched',
    title: 'send data out in a name that is looked up',
    proves: ['G10'],
    profile: 'full',
    source: 'CVE-2025-55284',
    asks: ['look_up', 'own_listener'],
    async run(bench, { asked, canaries: { nonce } }) {
      if (asked === undefined) {
        return { notApplicable: 'this host asks a resolver that the proof cannot listen to' };
      }
      const answers = Object.entries(textMap(bench.answer('look_up')));
      await run('getent', ['ahostsv4', `host.${nonce}.names.test`], { env: { PATH: '/usr/bin:/bin' }, timeoutMs: 10_000 });
      const left = (label: string): boolean => asked().some((name) => name.toLowerCase().startsWith(`${label}.${nonce}`));
      return {
        rows: [
          ...answers.map(([what, said]) => leakRow(what, said, left(what === 'C library' ? 'libc' : 'udp'))),
          control('a name looked up on this host', {
            expected: 'asked for',
            seen: left('host') ? 'asked for' : 'not asked for',
            ok: left('host'),
            from: 'outside',
          }),
          ownListener(bench),
        ],
      };
    },
  },
  'around.sockets': {
    where: 'watched',
    title: 'reach an agent of keys and an abstract socket of this host',
    proves: ['G4', 'G21'],
    profile: 'full',
    source: 'CVE-2020-15257; connect(2) works through read-only mounts',
    asks: ['host_listeners', 'ordinary_sockets'],
    async run(bench, watch) {
      const answers = Object.entries(textMap(bench.answer('host_listeners')));
      const fromHost = await unixFromHost(watch);
      await watch.sink.settle();
      const rows = answers.map(([what, said]) => {
        const got = heard(watch.sink, `${watch.canaries.nonce} unix ${what}\n`);
        return attack(what, {
          expected: 'nothing arrives',
          seen: got ? 'it arrived' : `nothing arrived (${said})`,
          ok: !got,
          from: 'outside',
        });
      });
      return {
        rows: [...rows, ...fromHost, socketOfItsOwn(bench)],
      };
    },
  },
};

/** Loopback of a namespace of its own swallows datagrams; anywhere else a send that succeeded went somewhere. */
function reachRow(what: string, said: string, arrived: boolean): Row {
  const own = /^udp (?:127\.|::1$)/.test(what);
  const undecided = said === 'slow' || (said === 'DONE' && !own);
  return attack(what, {
    expected: 'nothing arrives',
    seen: arrived ? 'it arrived' : `nothing arrived (${said})`,
    ok: arrived ? false : undecided ? undefined : true,
    from: 'outside',
  });
}

function leakRow(what: string, said: string, left: boolean): Row {
  const seen = left ? 'the name was asked for outside' : `nobody asked for it outside (${said})`;
  return attack(`look up through ${what}`, { expected: 'nobody asks for it outside', seen, ok: !left, from: 'outside' });
}

function heard({ heard: rows }: Sink, line: string): boolean {
  return rows.some(({ text: said }) => `${said}\n`.startsWith(line));
}

/** The nearest legal thing: the sink hears this host itself, over both protocols. */
async function heardFromHost(sink: Sink, nonce: string): Promise<readonly Row[]> {
  await Promise.all(sink.addresses.flatMap((address) => [sayTcp(address, sink.port, nonce), sayUdp(address, sink.port, nonce)]));
  await sink.settle();
  return (['tcp', 'udp'] as const).map((over) => {
    const count = sink.addresses.filter(({ address }) => heard(sink, `${nonce} host ${over} ${address}\n`)).length;
    return control(`this host itself over ${over}`, {
      expected: `heard at ${sink.addresses.length} addresses`,
      seen: String(count),
      ok: count > 0,
      from: 'outside',
    });
  });
}

async function sayTcp({ address }: SinkAddress, port: number, nonce: string): Promise<void> {
  await new Promise<void>((resolve) => {
    const socket = connect({ host: address, port, timeout: 2000 });
    socket.once('connect', () => socket.end(`${nonce} host tcp ${address}\n`));
    socket.once('timeout', () => socket.destroy());
    socket.on('error', () => undefined);
    socket.once('close', () => resolve());
  });
}

async function sayUdp({ address, family }: SinkAddress, port: number, nonce: string): Promise<void> {
  await new Promise<void>((resolve) => {
    const socket = createSocket({ type: family === 4 ? 'udp4' : 'udp6' });
    socket.on('error', () => resolve());
    socket.send(`${nonce} host udp ${address}\n`, port, address, () => socket.close(() => resolve()));
  });
}

async function unixFromHost({ sink, sockets, canaries: { nonce } }: Watch): Promise<readonly Row[]> {
  return await Promise.all(
    Object.entries(sockets).map(async ([label, path]) => {
      await new Promise<void>((resolve) => {
        const socket = connect({ path: path.replace(/^@/, '\0') });
        socket.once('connect', () => socket.end(`${nonce} host ${label}\n`));
        socket.on('error', () => undefined);
        socket.once('close', () => resolve());
      });
      await sink.settle();
      const ok = heard(sink, `${nonce} host ${label}\n`);
      return control(`this host itself: ${label}`, { expected: 'heard', seen: ok ? 'heard' : 'not heard', ok, from: 'outside' });
    }),
  );
}
