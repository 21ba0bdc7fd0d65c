import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { crc32 } from 'node:zlib';

import { listen } from './gateway-lab.ts';
import { signatureFault, type Keys } from './verify-sigv4.ts';

/**
 * A stand-in for Amazon Bedrock: it takes only requests whose signature is right for the given keys, and answers every
 * prompt with one text, streamed in the frames of `vnd.amazon.eventstream`.
 */
export interface BedrockApi {
  readonly port: number;
  readonly seen: readonly BedrockRequest[];
  readonly close: () => void;
}

export interface BedrockRequest {
  readonly method: string;
  readonly target: string;
  /** the whole head, as it was sent */
  readonly head: string;
  readonly body: string;
  /** what is wrong with the signature */
  readonly fault: string | undefined;
}

export async function startBedrock(keys: Keys, answer: string): Promise<BedrockApi> {
  const seen: BedrockRequest[] = [];
  const server = createServer((request, response) => {
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.once('end', () => {
      const row = look(request, Buffer.concat(pieces), keys);
      seen.push(row);
      reply(row, response, answer);
    });
  });
  const port = await listen(server);
  return {
    port,
    seen,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

function look({ method = '', url = '', rawHeaders }: IncomingMessage, body: Buffer, keys: Keys): BedrockRequest {
  const fields = Array.from(
    { length: rawHeaders.length / 2 },
    (_, index) => [rawHeaders[index * 2] ?? '', rawHeaders[index * 2 + 1] ?? ''] as const,
  );
  const fault = signatureFault({ method, target: url, fields, body }, keys);
  return { method, target: url, head: JSON.stringify(fields), body: body.toString('utf8'), fault };
}

function reply({ target, fault }: BedrockRequest, response: ServerResponse, answer: string): void {
  if (fault !== undefined) {
    response.writeHead(403, { 'content-type': 'application/json', 'x-amzn-errortype': 'InvalidSignatureException' });
    response.end(JSON.stringify({ message: fault }));
  } else if (target.endsWith('/invoke-with-response-stream')) {
    response.writeHead(200, { 'content-type': 'application/vnd.amazon.eventstream' });
    response.end(
      Buffer.concat(events(answer).map((event) => frame({ bytes: Buffer.from(JSON.stringify(event)).toString('base64') }))),
    );
  } else if (target.endsWith('/invoke')) {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ ...message, content: [{ type: 'text', text: answer }], stop_reason: 'end_turn' }));
  } else {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ inferenceProfileSummaries: [] }));
  }
}

const message = {
  id: 'msg_stand_in',
  type: 'message',
  role: 'assistant',
  model: 'claude',
  content: [] as readonly unknown[],
  stop_reason: null as string | null,
  stop_sequence: null,
  usage: { input_tokens: 10, output_tokens: 5 },
};

function events(answer: string): readonly object[] {
  return [
    { type: 'message_start', message },
    { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
    { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: answer } },
    { type: 'content_block_stop', index: 0 },
    { type: 'message_delta', delta: { stop_reason: 'end_turn', stop_sequence: null }, usage: { output_tokens: 5 } },
    { type: 'message_stop' },
  ];
}

function frame(payload: object): Buffer {
  const headers = Buffer.concat([
    header(':event-type', 'chunk'),
    header(':content-type', 'application/json'),
    header(':message-type', 'event'),
  ]);
  const body = Buffer.from(JSON.stringify(payload));
  const prelude = Buffer.alloc(12);
  prelude.writeUInt32BE(16 + headers.length + body.length, 0);
  prelude.writeUInt32BE(headers.length, 4);
  prelude.writeUInt32BE(crc32(prelude.subarray(0, 8)), 8);
  const rest = Buffer.concat([prelude, headers, body]);
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(rest));
  return Buffer.concat([rest, sum]);
}

/** A header whose value is a string (type 7). */
function header(name: string, value: string): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(value.length);
  return Buffer.concat([Buffer.from([name.length]), Buffer.from(name), Buffer.from([7]), length, Buffer.from(value)]);
}
