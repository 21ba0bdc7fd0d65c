import { assert, array, asyncProperty, boolean, constantFrom, integer, property, record, uint8Array } from 'fast-check';
import { describe, expect, test } from 'vitest';

import { createMask, prepareNeedles } from '../../../src/gateway/secrets/mask.ts';
import { createFrameRelay, FrameFault } from '../../../src/gateway/bodies/websocket-frames.ts';
import { phantomSearch } from '../../../src/gateway/secrets/phantom-search.ts';
import { createSecretSearch } from '../../../src/gateway/secrets/secret-search.ts';
import { frame } from '../../../src/proof/attacks/websocket-frame.ts';
import { ownTime } from '../../helpers/own-time.ts';
import { cutInto, hear } from '../../helpers/websocket-bytes.ts';

const key = Buffer.from([1, 2, 3, 0xfe]);
const secret = 'sk-ant-api03-CANARY-0123456789';
const needles = prepareNeedles([Buffer.from(secret)]);
const masking = () => createMask(needles);

function relayed(pieces: readonly Buffer[], sender: 'client' | 'server', step?: () => ReturnType<typeof createMask>): Buffer {
  const relay = createFrameRelay({ sender, step });
  return Buffer.concat(pieces.map((piece) => Buffer.from(relay.push(Buffer.from(piece)))));
}

describe('frames', () => {
  const message = record({
    code: constantFrom(1, 2),
    parts: array(uint8Array({ maxLength: 300 }), { minLength: 1, maxLength: 4 }),
    withPing: boolean(),
  });

  test('are the same messages to another implementation, however they are fragmented and cut', async () => {
    await assert(
      asyncProperty(
        array(message, { maxLength: 4 }),
        constantFrom('client', 'server'),
        array(integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 5 }),
        async (messages, sender, sizes) => {
          const mask = sender === 'client' ? { key } : {};
          const bytes = Buffer.concat(
            messages.flatMap(({ code, parts, withPing }) =>
              parts.flatMap((part, index) => [
                frame({
                  code: index === 0 ? code : 0,
                  content: Buffer.from(part),
                  isFinal: index === parts.length - 1,
                  ...mask,
                }),
                ...(withPing ? [frame({ code: 9, content: Buffer.from(`ping ${index}`), ...mask })] : []),
              ]),
            ),
          );
          const before = await hear(Buffer.from(bytes), sender);
          const after = await hear(relayed(cutInto(bytes, sizes), sender), sender);
          expect(before.error).toBeUndefined();
          expect(after).toEqual(before);
        },
      ),
      { numRuns: 60 },
    );
  });

  test('of every form of length pass', async () => {
    for (const length of [0, 1, 125, 126, 65_535, 65_536, 70_000]) {
      const bytes = frame({ code: 2, content: Buffer.alloc(length, 7), key });
      const heard = await hear(relayed(cutInto(bytes, [1000]), 'client'), 'client');
      expect(heard.messages.map((text) => text.length)).toEqual([length]);
    }
  });

  test('go on as they come: a long one is not collected first', () => {
    const relay = createFrameRelay({ sender: 'server' });
    const bytes = frame({ code: 2, content: Buffer.alloc(10_000, 65) });
    expect(relay.push(Buffer.from(bytes.subarray(0, 5000))).length).toBeGreaterThan(4990);
  });

  test('are masked with a key of our own', () => {
    const relay = createFrameRelay({ sender: 'client', maskKey: () => 0x09090909 });
    const sent = relay.push(frame({ code: 1, content: Buffer.from('abc'), key }));
    expect(sent).toEqual(frame({ code: 1, content: Buffer.from('abc'), key: Buffer.from([9, 9, 9, 9]) }));
  });
});

describe('tiny frames', () => {
  const phantoms = phantomSearch(Array.from({ length: 20 }, (_, index) => `sk-ant-api03-${index}${'aB3'.repeat(30)}`));
  const tiny: Readonly<Record<string, readonly Buffer[]>> = {
    messages: [frame({ code: 1, content: Buffer.from('s'), key })],
    fragments: [frame({ code: 0, content: Buffer.from('s'), isFinal: false, key })],
    'fragments between pings': [frame({ code: 0, content: Buffer.from('s'), isFinal: false, key }), frame({ code: 9, key })],
  };
  test.each(Object.entries(tiny))('cost what their bytes are worth: %s', (_, frames) => {
    const relay = createFrameRelay({
      sender: 'client',
      step: () => createSecretSearch({ needles: phantoms, mode: 'mask', onFound: () => undefined }),
    });
    if (frames[0]?.[0] === 0) {
      relay.push(frame({ code: 1, isFinal: false, key }));
    }
    const piece = Buffer.concat(Array.from({ length: 9000 / frames.length }, () => Buffer.concat(frames)));
    const spent = ownTime();
    for (let index = 0; index < 40; index += 1) {
      relay.push(Buffer.from(piece));
    }
    expect(spent()).toBeLessThan(300);
  });

  test('of one message that came together go on as one; a ping between them keeps its own', () => {
    const parts = ['a', 'b', 'c'].map((text, index) =>
      frame({ code: index === 0 ? 1 : 0, content: Buffer.from(text), isFinal: false }),
    );
    const ping = frame({ code: 9, content: Buffer.from('p') });
    const relay = createFrameRelay({ sender: 'server' });
    const first = relay.push(Buffer.concat([...parts.slice(0, 2), ping, ...parts.slice(2)]));
    expect(first).toEqual(Buffer.concat([ping, frame({ code: 1, content: Buffer.from('abc'), isFinal: false })]));
    const last = relay.push(Buffer.concat([parts[2] ?? ping, frame({ code: 8 })]));
    expect(last).toEqual(Buffer.concat([frame({ code: 0, content: Buffer.from('c'), isFinal: false }), frame({ code: 8 })]));
  });
});

describe('a secret', () => {
  test('is found across fragments, pieces and interleaved pings, in pings and in the reason of a close', async () => {
    await assert(
      asyncProperty(
        integer({ min: 0, max: secret.length }),
        array(integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 4 }),
        async (at, sizes) => {
          const bytes = Buffer.concat([
            frame({ code: 1, content: Buffer.from(`a ${secret.slice(0, at)}`), isFinal: false }),
            frame({ code: 9, content: Buffer.from(secret) }),
            frame({ code: 0, content: Buffer.from(`${secret.slice(at)} z`) }),
            frame({ code: 8, content: Buffer.concat([Buffer.from([3, 232]), Buffer.from(secret)]) }),
          ]);
          const heard = await hear(relayed(cutInto(bytes, sizes), 'server', masking), 'server');
          const stars = '*'.repeat(secret.length);
          expect(heard).toEqual({ messages: [`a ${stars} z`], pings: [stars], closed: `1000 ${stars}`, error: undefined });
        },
      ),
      { numRuns: 60 },
    );
  });

  test('its beginning at the end of a message is not held back until the next one', async () => {
    const bytes = frame({ code: 1, content: Buffer.from(secret.slice(0, 9)) });
    expect((await hear(relayed([bytes], 'server', masking), 'server')).messages).toEqual([secret.slice(0, 9)]);
  });
});

describe('bytes that break the rules', () => {
  const text = Buffer.from('hello');
  const broken: Readonly<Record<string, readonly ['client' | 'server', Buffer]>> = {
    'a client without a mask': ['client', frame({ code: 1, content: text })],
    'a server with one': ['server', frame({ code: 1, content: text, key })],
    'a reserved bit': ['server', frame({ code: 1, content: text, reserved: 4 })],
    'an unknown opcode': ['server', frame({ code: 3, content: text })],
    'an unknown control opcode': ['server', frame({ code: 11 })],
    'a control frame in fragments': ['server', frame({ code: 9, isFinal: false })],
    'a long control frame': ['server', frame({ code: 9, content: Buffer.alloc(126) })],
    'a close with half a code': ['server', frame({ code: 8, content: Buffer.alloc(1) })],
    'a continuation of nothing': ['server', frame({ code: 0, content: text })],
    'a message within a message': [
      'server',
      Buffer.concat([frame({ code: 1, content: text, isFinal: false }), frame({ code: 1, content: text })]),
    ],
    'a length of 16 bits that needs 7': ['server', Buffer.from([0x82, 126, 0, 5, 1, 2, 3, 4, 5])],
    'a length of 64 bits that needs 16': ['server', Buffer.from([0x82, 127, 0, 0, 0, 0, 0, 0, 1, 0])],
    'a length past 2^53': ['server', Buffer.from([0x82, 127, 0x40, 0, 0, 0, 0, 0, 0, 0])],
    'a negative length': ['server', Buffer.from([0x82, 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])],
  };
  test.each(Object.entries(broken))('%s ends the connection', (_name, [sender, bytes]) => {
    expect(() => relayed([bytes], sender)).toThrow(FrameFault);
    expect(() => relayed(cutInto(bytes, [1]), sender)).toThrow(FrameFault);
  });

  test('noise is a fault or waits for more; nothing else is ever thrown', () => {
    assert(
      property(uint8Array({ maxLength: 200 }), constantFrom('client', 'server'), (noise, sender) => {
        try {
          relayed([Buffer.from(noise)], sender, masking);
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(FrameFault);
        }
      }),
    );
  });

  test('what follows a close does not go on', () => {
    const close = frame({ code: 8 });
    expect(
      relayed([Buffer.concat([close, frame({ code: 1, content: text })]), frame({ code: 1, content: text })], 'server'),
    ).toEqual(close);
  });
});
