import { createSocket } from 'node:dgram';
import { once } from 'node:events';

import { decode, encode, type Packet } from 'dns-packet';

/** A name server of the lab on loopback: writes down every question and answers what a probe tells it to. */
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
  const answers = new Map<string, (readonly string[])[]>();
  socket.on('message', (bytes, from) => {
    const query = decode(bytes);
    const [question] = query.questions ?? [];
    if (question === undefined) {
      return;
    }
    asked.push(question.name);
    socket.send(encode(replyTo(query, question.type === 'A' ? take(answers, question.name) : [])), from.port, from.address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return {
    address: `127.0.0.1:${socket.address().port}`,
    asked,
    answer: (host, lists) => void answers.set(host, [...lists]),
    close: () => void socket.close(),
  };
}

/** The lists of a name in turn; the last one stays. */
function take(answers: ReadonlyMap<string, (readonly string[])[]>, name: string): readonly string[] {
  const lists = answers.get(name.toLowerCase()) ?? [];
  return (lists.length > 1 ? lists.shift() : lists[0]) ?? [];
}

function replyTo(query: Packet, addresses: readonly string[]): Packet {
  const [question] = query.questions ?? [];
  const name = question?.name ?? '';
  return {
    type: 'response',
    id: query.id ?? 0,
    // recursion desired and available; without an address: no such name
    flags: 0x0180 | (addresses.length === 0 && question?.type === 'A' ? 3 : 0),
    questions: query.questions ?? [],
    answers: addresses.map((data) => ({ type: 'A', name, ttl: 0, data })),
  };
}
