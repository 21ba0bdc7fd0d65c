import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { isIP } from 'node:net';

import { decode, encode, type Packet } from 'dns-packet';

/** A name server of the lab on loopback: it writes down every query and answers as a probe tells it to. */
export interface Resolver {
  /** `127.0.0.1:PORT` */
  readonly address: string;
  readonly asked: readonly string[];
  readonly answer: (host: string, lists: readonly (readonly string[])[]) => void;
  readonly close: () => void;
}

export async function startResolver(): Promise<Resolver> {
  const socket = createSocket('udp4');
  const asked: string[] = [];
  const turns = new Map<string, Turns>();
  socket.on('message', (bytes, from) => {
    const query = decode(bytes);
    const [question] = query.questions ?? [];
    if (question !== undefined) {
      asked.push(question.name);
      const found = take(turns.get(question.name.toLowerCase()), question.type);
      socket.send(encode(replyTo(query, found)), from.port, from.address);
    }
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return {
    address: `127.0.0.1:${socket.address().port}`,
    asked,
    answer: (host, lists) => void turns.set(host, { lists, at: { A: 0, AAAA: 0 } }),
    close: () => void socket.close(),
  };
}

/** What a name leads to, one list after the other. Both families of one look-up get theirs out of the same list. */
interface Turns {
  readonly lists: readonly (readonly string[])[];
  readonly at: Record<'A' | 'AAAA', number>;
}

function take(turns: Turns | undefined, type: string): readonly string[] {
  if (turns === undefined || (type !== 'A' && type !== 'AAAA')) {
    return [];
  }
  const list = turns.lists[Math.min(turns.at[type], turns.lists.length - 1)] ?? [];
  turns.at[type] += 1;
  return list.filter((address) => isIP(address) === (type === 'A' ? 4 : 6));
}

function replyTo(query: Packet, addresses: readonly string[]): Packet {
  const [question] = query.questions ?? [];
  const name = question?.name ?? '';
  return {
    type: 'response',
    id: query.id ?? 0,
    // recursion desired and available
    flags: 0x0180,
    questions: query.questions ?? [],
    answers: addresses.map((data) => ({ type: isIP(data) === 4 ? ('A' as const) : ('AAAA' as const), name, ttl: 0, data })),
  };
}
