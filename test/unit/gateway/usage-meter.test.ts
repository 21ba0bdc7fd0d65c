import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { awsEventReader, objectReader, sseReader } from '../../../src/gateway/guards/event-readers.ts';
import type { Field } from '../../../src/gateway/http/fields.ts';
import { createUsageMeter } from '../../../src/gateway/guards/usage-meter.ts';
import { ownTime } from '../../helpers/own-time.ts';

const sse: readonly Field[] = [['content-type', 'text/event-stream; charset=utf-8']];
const json: readonly Field[] = [['content-type', 'application/json']];

function meter(
  text: string | Buffer,
  fields: readonly Field[],
  { cuts = [], status = 200 }: { cuts?: readonly number[]; status?: number } = {},
) {
  const bytes = Buffer.from(text);
  const one = createUsageMeter({ status, fields });
  const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length];
  places.slice(1).forEach((end, index) => one.push(bytes.subarray(places[index], end)));
  return one.usage();
}

const event = (value: object & { type?: string }): string => `event: ${value.type ?? 'x'}\ndata: ${JSON.stringify(value)}\n\n`;

const anthropicStream = [
  event({
    type: 'message_start',
    message: {
      model: 'claude-opus-5-5',
      usage: { input_tokens: 12, cache_creation_input_tokens: 300, cache_read_input_tokens: 4000, output_tokens: 3 },
    },
  } as never),
  event({
    type: 'content_block_delta',
    index: 0,
    delta: { type: 'text_delta', text: 'usage: {"output_tokens": 999999}' },
  } as never),
  event({ type: 'ping' }),
  event({ type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 345 } } as never),
  event({ type: 'message_stop' }),
].join('');
const anthropicUsage = { model: 'claude-opus-5-5', input: 12, cacheRead: 4000, cacheWrite: 300, output: 345, isEstimated: false };

/** `application/vnd.amazon.eventstream`; checksums are not looked at. */
function frame(payload: object): Buffer {
  const body = Buffer.from(JSON.stringify(payload));
  const headers = Buffer.from('\x0b:event-type\x07\x00\x05chunk', 'latin1');
  const head = Buffer.alloc(12);
  head.writeUInt32BE(12 + headers.length + body.length + 4, 0);
  head.writeUInt32BE(headers.length, 4);
  return Buffer.concat([head, headers, body, Buffer.alloc(4)]);
}

describe('tokens in the answers of models', () => {
  it('Anthropic, streamed: counted from the beginning and the end, wherever it is cut', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(), { maxLength: 30 }), (cuts) => {
        expect(meter(anthropicStream, sse, { cuts })).toEqual(anthropicUsage);
      }),
      { numRuns: 300 },
    );
    expect(meter(anthropicStream, sse, { cuts: Array.from({ length: anthropicStream.length }, (_, at) => at) })).toEqual(
      anthropicUsage,
    );
  });

  it('Anthropic, in one piece', () => {
    const answer = {
      type: 'message',
      model: 'claude-x',
      content: [{ text: '"usage":{"output_tokens":1}' }],
      usage: { input_tokens: 5, output_tokens: 7 },
    };
    expect(meter(JSON.stringify(answer), json)).toEqual({
      model: 'claude-x',
      input: 5,
      cacheRead: 0,
      cacheWrite: 0,
      output: 7,
      isEstimated: false,
    });
  });

  it('OpenAI Responses and Chat: what the cache held is not counted twice', () => {
    const usage = { input_tokens: 100, input_tokens_details: { cached_tokens: 80 }, output_tokens: 9, total_tokens: 109 };
    const completed = event({ type: 'response.completed', response: { model: 'gpt-5.5', usage } } as never);
    const expected = { model: 'gpt-5.5', input: 20, cacheRead: 80, cacheWrite: 0, output: 9, isEstimated: false };
    expect(
      meter(event({ type: 'response.created', response: { model: 'gpt-5.5', usage: null } } as never) + completed, sse),
    ).toMatchObject(expected);
    expect(meter(JSON.stringify({ model: 'gpt-5.5', usage }), json)).toMatchObject(expected);
    const chat = { prompt_tokens: 100, prompt_tokens_details: { cached_tokens: 80 }, completion_tokens: 40 };
    const last = `data: ${JSON.stringify({ model: 'gpt-5.5', choices: [], usage: chat })}\n\ndata: [DONE]\n\n`;
    expect(meter(last, sse)).toMatchObject({ ...expected, output: 40 });
  });

  it('Bedrock: InvokeModel by the head, its stream by the last frame, Converse by its metadata', () => {
    const head: readonly Field[] = [
      ...json,
      ['x-amzn-bedrock-input-token-count', '11'],
      ['x-amzn-bedrock-output-token-count', '22'],
    ];
    expect(meter('{"completion":"x"}', head)).toMatchObject({ input: 11, output: 22 });
    const events: readonly Field[] = [['content-type', 'application/vnd.amazon.eventstream']];
    const inner = (value: object) => frame({ bytes: Buffer.from(JSON.stringify(value)).toString('base64') });
    const stop = {
      type: 'message_stop',
      'amazon-bedrock-invocationMetrics': { inputTokenCount: 70, outputTokenCount: 80, cacheReadInputTokenCount: 5 },
    };
    const stream = Buffer.concat([inner({ type: 'content_block_delta' }), inner(stop)]);
    const cuts = Array.from({ length: stream.length }, (_, at) => at);
    expect(meter(stream, events, { cuts })).toMatchObject({ input: 70, output: 80, cacheRead: 5 });
    const converse = frame({ usage: { inputTokens: 7, outputTokens: 30, totalTokens: 37 } });
    expect(meter(converse, events)).toMatchObject({ input: 7, output: 30 });
  });

  it('Gemini: what it thought is written, too', () => {
    const usageMetadata = { promptTokenCount: 50, cachedContentTokenCount: 20, candidatesTokenCount: 6, thoughtsTokenCount: 4 };
    expect(meter(JSON.stringify({ modelVersion: 'gemini-x', usageMetadata }), json)).toMatchObject({
      model: 'gemini-x',
      input: 30,
      cacheRead: 20,
      output: 10,
    });
  });

  it('a stream that was cut before its count is estimated from its bytes, never as nothing', () => {
    const cut = anthropicStream.slice(0, anthropicStream.indexOf('event: message_delta'));
    expect(meter(cut + event({ type: 'content_block_delta', delta: { text: 'x'.repeat(8000) } } as never), sse)).toMatchObject({
      input: 12,
      isEstimated: true,
    });
    expect(meter(cut + 'x'.repeat(80_000), sse)?.output).toBeGreaterThan(10_000);
  });

  it('an error and what is no answer of a model count nothing', () => {
    expect(meter(anthropicStream, sse, { status: 529 })).toBeUndefined();
    expect(meter('{"ok":true}', json)).toBeUndefined();
  });

  it('messages of a WebSocket: each object that counts is told, wherever it is cut', () => {
    const messages = [
      { type: 'response.created', response: { usage: null } },
      { type: 'delta', delta: 'a "usage" } { \\' },
      { type: 'response.completed', response: { usage: { output_tokens: 5 } } },
      { type: 'response.completed', response: { usage: { output_tokens: 7 } } },
    ];
    const bytes = Buffer.from(messages.map((one) => JSON.stringify(one)).join(''));
    fc.assert(
      fc.property(fc.array(fc.nat(), { maxLength: 20 }), (cuts) => {
        const found: unknown[] = [];
        const reader = objectReader((value) => found.push(value));
        const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length];
        places.slice(1).forEach((end, index) => reader.push(bytes.subarray(places[index], end)));
        expect(found).toEqual(messages);
      }),
    );
  });

  it('bytes of any kind do no harm', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array()),
        fc.constantFrom('text/event-stream', 'application/json', 'application/vnd.amazon.eventstream'),
        (pieces, type) => {
          const one = createUsageMeter({ status: 200, fields: [['content-type', type]] });
          pieces.forEach((piece) => one.push(Buffer.from(piece)));
          one.usage();
        },
      ),
    );
  });
});

describe('answers that come byte by byte', () => {
  const letters = 400_000;
  const text = JSON.stringify({ usage: { output_tokens: 5 }, filler: 'x'.repeat(letters) });
  const framed = (payload: Buffer): Buffer => {
    const head = Buffer.alloc(12);
    head.writeUInt32BE(payload.length + 16, 0);
    return Buffer.concat([head, payload, Buffer.alloc(4)]);
  };
  it.each([
    ['events', sseReader, Buffer.from(`data: ${text}\n\n`)],
    ['frames of Bedrock', awsEventReader, framed(Buffer.from(text))],
    ['messages', objectReader, Buffer.from(text)],
  ] as const)('%s are read in time that their length bounds', (_, reader, bytes) => {
    const found: unknown[] = [];
    const one = reader((value) => found.push(value));
    const usedMs = ownTime();
    for (let at = 0; at < bytes.length; at += 1) {
      one.push(bytes.subarray(at, at + 1));
    }
    expect(found).toMatchObject([{ usage: { output_tokens: 5 } }]);
    expect(usedMs()).toBeLessThan(3000);
  });
});
