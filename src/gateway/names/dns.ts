import { decode, encode, type DecodedPacket, type Packet } from 'dns-packet';

import { canonicalHost, type HostName } from '../../base/host.ts';
import type { NetworkRule } from '../../policy/policy.ts';
import { isServed, type Names } from './names.ts';

/**
 * Answers one DNS query (RFC 1035) from the sandbox's own table of names. Nothing is resolved outside, so a query carries
 * nothing out. Denied names get an address too, so that the denial can be explained over HTTP.
 */
export interface DnsContext {
  readonly names: Names;
  readonly rules: () => readonly NetworkRule[];
  /** whether a name leads to a place of the sandbox's own, or to a program inside */
  readonly local?: ((host: HostName) => 'place' | 'inside' | undefined) | undefined;
  /** texts that must not appear in a name: the phantoms */
  readonly forbidden: () => readonly string[];
  /** false: too many queries; the asker gets no answer and comes again */
  readonly mayAnswer: () => boolean;
  readonly onForbidden: (name: string) => void;
  readonly onFull: () => void;
}

const code = { ok: 0, malformed: 1, failed: 2, noName: 3, notImplemented: 4, refused: 5 } as const;
const headerBytes = 12;

/** The reply, or `undefined` for what must not be answered (replies, fragments). Never throws. */
export function answerQuery(data: Uint8Array, context: DnsContext): Uint8Array | undefined {
  const query = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  // An answer to an answer would let two servers talk for ever.
  if (query.length < headerBytes || (query.readUInt8(2) & 0x80) !== 0 || !context.mayAnswer()) {
    return undefined;
  }
  if ((query.readUInt8(2) & 0x78) !== 0) {
    return bare(query, code.notImplemented);
  }
  try {
    const packet = query.length <= 4096 && query.readUInt16BE(4) === 1 ? decode(questionAlone(query)) : undefined;
    return packet === undefined ? bare(query, code.malformed) : reply({ ...packet, hasOpt: hasOpt(query) }, context);
  } catch {
    return bare(query, code.malformed);
  }
}

/** A query as far as it is read. */
type Query = Pick<DecodedPacket, 'id' | 'flags' | 'questions'> & { readonly hasOpt: boolean };

/**
 * The same, which says that nothing stands behind its question. Records there may name each other a hundred thousand times in
 * 4 KiB, and say nothing that an answer depends on.
 */
function questionAlone(query: Buffer): Buffer {
  const alone = Buffer.from(query);
  alone.fill(0, 6, headerBytes);
  return alone;
}

/** Whether extensions (RFC 6891) stand right behind the question, where askers put them. */
function hasOpt(query: Buffer): boolean {
  let at = headerBytes;
  for (let length = query[at] ?? 0; length !== 0; length = query[at] ?? 0) {
    if ((length & 0xc0) !== 0) {
      at += 1;
      break;
    }
    at += 1 + length;
  }
  const record = at + 1 + questionRest;
  const hasOthers = query.readUInt32BE(6) !== 0;
  return !hasOthers && query.readUInt16BE(10) > 0 && query[record] === 0 && query.readUInt16BE(record + 1) === optType;
}

/** type and class */
const questionRest = 4;
const optType = 41;

function reply(packet: Query, context: DnsContext): Uint8Array {
  const question = packet.questions?.[0];
  if (question === undefined) {
    return encode(response(packet, code.malformed));
  }
  if (question.class !== undefined && question.class !== 'IN') {
    return encode(response(packet, code.refused));
  }
  const lowered = question.name.toLowerCase();
  if (context.forbidden().some((text) => lowered.includes(text.toLowerCase()))) {
    context.onForbidden(question.name);
    return encode(response(packet, code.refused));
  }
  // Only ASCII travels in DNS; a label with other bytes is not a host name (RFC 5890).
  const host = ascii.test(question.name) ? canonicalHost(question.name) : undefined;
  return host === undefined ? encode(response(packet, code.noName)) : hostReply(packet, { ...question, host }, context);
}

type HostQuestion = Pick<Asked, 'name' | 'host'> & { readonly type: string };

function hostReply(packet: Query, { name, host, type }: HostQuestion, context: DnsContext): Uint8Array {
  const local = context.local?.(host);
  if (local === undefined && !isServed(host, context.rules())) {
    return encode(response(packet, code.noName));
  }
  return type === 'A' ? addressReply(packet, { name, host, local }, context) : encode(response(packet, code.ok));
}

interface Asked {
  /** as it was written */
  readonly name: string;
  readonly host: HostName;
  readonly local: 'place' | 'inside' | undefined;
}

function addressReply(packet: Query, { name, host, local }: Asked, context: DnsContext): Uint8Array {
  const address = local === 'inside' ? '127.0.0.1' : context.names.addressOf(host);
  if (address === undefined) {
    context.onFull();
    return encode(response(packet, code.failed));
  }
  return encode({
    ...response(packet, code.ok),
    answers: [{ type: 'A', class: 'IN', name, ttl: local === 'inside' ? 1 : 300, data: address }],
  });
}

const ascii = /^[\x21-\x7e]+$/;

const flags = { authoritative: 0x0400, recursionAvailable: 0x0080, recursionDesired: 0x0100 };

function response(packet: Query, rcode: number): Packet {
  const desired = (packet.flags ?? 0) & flags.recursionDesired;
  return {
    type: 'response',
    id: packet.id ?? 0,
    flags: flags.authoritative | flags.recursionAvailable | desired | rcode,
    // Other bytes grow in the package's hands, and would be written back as a label that is too long.
    questions: packet.questions?.filter(({ name }) => ascii.test(name)) ?? [],
    additionals: packet.hasOpt
      ? [
          {
            type: 'OPT',
            name: '.',
            udpPayloadSize: 1232,
            extendedRcode: 0,
            ednsVersion: 0,
            flags: 0,
            flag_do: false,
            options: [],
          },
        ]
      : [],
  };
}

/** A reply with a header only: for queries whose question cannot be read back. */
function bare(query: Buffer, rcode: number): Uint8Array {
  const head = Buffer.alloc(headerBytes);
  head.writeUInt16BE(query.readUInt16BE(0), 0);
  head.writeUInt8(0x80 | (query.readUInt8(2) & 0x79), 2);
  head.writeUInt8(rcode, 3);
  return head;
}
