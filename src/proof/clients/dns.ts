import { decode, encode, type Packet } from 'dns-packet';

import type { LabSandbox } from '../lab/lab.ts';
import { talk } from './talk.ts';

/** Asks the resolver inside a sandbox over TCP, for any name and type (RFC 7766). */
export interface DnsAnswer {
  readonly name: string;
  readonly type: string;
  /** addresses and other data; empty: none */
  readonly data: readonly string[];
  /** absent: it did not answer */
  readonly code?: string | undefined;
}

export interface Question {
  readonly name: string;
  readonly type: string;
}

export async function askInside(
  { connect }: Pick<LabSandbox, 'connect'>,
  questions: readonly Question[],
): Promise<readonly DnsAnswer[]> {
  const stream = await connect('127.0.0.1', 53);
  const { text } = await talk(stream, questions.map(framed), { quietMs: 250 });
  const answers = readFrames(Buffer.from(text, 'latin1'));
  return questions.map(({ name, type }, id) => ({ name, type, data: [], ...answers.get(id) }));
}

function framed({ name, type }: Question, id: number): Buffer {
  // oxlint-disable-next-line no-unsafe-type-assertion -- the types that are asked for are more than the package names
  const question = { name, type } as NonNullable<Packet['questions']>[number];
  const query = encode({ type: 'query', id, flags: 0x100, questions: [question] });
  return Buffer.concat([Buffer.from([query.length >> 8, query.length & 0xff]), query]);
}

function readFrames(bytes: Buffer): ReadonlyMap<number, Pick<DnsAnswer, 'data' | 'code'>> {
  const found = new Map<number, Pick<DnsAnswer, 'data' | 'code'>>();
  for (let at = 0; at + 2 <= bytes.length; at += 2 + bytes.readUInt16BE(at)) {
    const packet = decodeLeniently(bytes.subarray(at + 2, at + 2 + bytes.readUInt16BE(at)));
    if (packet !== undefined) {
      found.set(packet.id ?? 0, { data: dataOf(packet), code: codeOf(packet) });
    }
  }
  return found;
}

function decodeLeniently(bytes: Buffer): Packet | undefined {
  try {
    return decode(bytes);
  } catch {
    return undefined;
  }
}

function dataOf({ answers = [] }: Packet): readonly string[] {
  return answers.map((answer) => (answer.type === 'A' || answer.type === 'AAAA' ? answer.data : answer.type));
}

function codeOf(packet: Packet): string {
  return 'rcode' in packet ? String(packet.rcode) : 'unknown';
}
