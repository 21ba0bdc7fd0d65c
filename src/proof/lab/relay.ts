import { readFile } from 'node:fs/promises';
import { Duplex, type Readable, type Writable } from 'node:stream';

import { dataFile } from '../../system/data-file.ts';
import { frame, readFrames, type TakeFrame } from './relay-frames.ts';

/** The host's end of `inside/relay.pl`: TCP connections that a process in a sandbox makes, as streams of this process. */
export interface Relay {
  /** Rejects with the errno that the process inside met, e.g. `ECONNREFUSED`, `ENOTFOUND`. */
  readonly connect: (host: string, port: number) => Promise<Duplex>;
  /** IPv4 addresses; empty: the resolver inside knows none */
  readonly lookup: (host: string) => Promise<readonly string[]>;
  /** with the program inside: the sandbox was stopped, for example */
  readonly hasEnded: () => boolean;
  readonly close: () => void;
}

export async function relayCommand(): Promise<readonly string[]> {
  const program = await readFile(dataFile('proof/inside/relay.pl'), 'utf8');
  return ['perl', '-e', program.replaceAll(/^\s*#.*\n/gm, '')];
}

/** What is under way, by id. */
interface Traffic {
  readonly asked: Map<number, PromiseWithResolvers<string>>;
  readonly streams: Map<number, Duplex>;
  readonly send: (kind: string, id: number, payload?: Buffer | string) => void;
}

export function createRelay(from: Readable, to: Writable): Relay {
  const send: Traffic['send'] = (kind, id, payload) => void to.write(frame(kind, id, payload));
  const traffic: Traffic = { asked: new Map(), streams: new Map(), send };
  let next = 0;
  let ended = false;
  const ask = async (kind: 'O' | 'L', payload: string): Promise<{ readonly id: number; readonly text: string }> => {
    if (ended) {
      throw new Error('the relay inside has ended');
    }
    next += 1;
    const id = next;
    const answer = Promise.withResolvers<string>();
    traffic.asked.set(id, answer);
    send(kind, id, payload);
    return { id, text: await answer.promise };
  };
  readFrames(from, takerOf(traffic));
  from.on('close', () => {
    ended = true;
    endAll(traffic);
  });
  to.on('error', () => undefined);
  return {
    async connect(host, port) {
      const { id } = await ask('O', `${host} ${port}`);
      return traffic.streams.get(id) ?? gone();
    },
    async lookup(host) {
      const { text } = await ask('L', host);
      return text.split(' ').filter((address) => /^\d+\.\d+\.\d+\.\d+$/.test(address));
    },
    hasEnded: () => ended,
    close: () => void to.end(),
  };
}

function takerOf(traffic: Traffic): TakeFrame {
  const { asked, streams } = traffic;
  const settle = (id: number): PromiseWithResolvers<string> | undefined => {
    const answer = asked.get(id);
    asked.delete(id);
    return answer;
  };
  const takers: Readonly<Record<string, (id: number, payload: Buffer) => void>> = {
    K(id) {
      streams.set(id, streamOf(traffic, id));
      settle(id)?.resolve('');
    },
    A: (id, payload) => settle(id)?.resolve(payload.toString('latin1')),
    F(id, payload) {
      const fault = new Error(payload.toString('latin1').slice(0, 40));
      settle(id)?.reject(fault);
      streams.get(id)?.destroy(fault);
    },
    D: (id, payload) => void streams.get(id)?.push(payload),
    E: (id) => void streams.get(id)?.push(null),
  };
  return (kind, id, payload) => takers[kind]?.(id, payload);
}

function streamOf({ streams, send }: Traffic, id: number): Duplex {
  const stream = new Duplex({
    read: () => undefined,
    write(piece: Buffer, _encoding, done) {
      send('D', id, piece);
      done();
    },
    final(done) {
      send('E', id);
      done();
    },
    destroy(error, done) {
      streams.delete(id);
      send('C', id);
      done(error);
    },
  });
  // Whoever uses it listens later; an error before that must not end this process.
  return stream.on('error', () => undefined);
}

function endAll({ asked, streams }: Traffic): void {
  asked.forEach(({ reject }) => reject(new Error('the relay inside has ended')));
  streams.forEach((stream) => stream.destroy());
}

function gone(): never {
  throw new Error('the relay inside has ended');
}
