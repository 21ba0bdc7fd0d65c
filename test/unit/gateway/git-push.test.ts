import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { createPktReader, flushPkt, pktLine } from '../../../src/gateway/git/git-pkt-line.ts';
import { createPushReader, type PushReading } from '../../../src/gateway/git/git-push.ts';
import { ownTime } from '../../helpers/own-time.ts';

const zero = '0'.repeat(40);
const one = '1'.repeat(40);
const two = '2'.repeat(40);
const pack = Buffer.from('PACK\0\0\0\x02');

function read(...pieces: readonly Buffer[]): PushReading {
  const reader = createPushReader();
  return pieces.reduce<PushReading>((_, piece) => reader.push(piece), reader.push(Buffer.alloc(0)));
}

function cut(bytes: Buffer, at: readonly number[]): Buffer[] {
  const ends = [...new Set(at.map((place) => place % (bytes.length + 1)))].toSorted((a, b) => a - b);
  return [...ends, bytes.length].map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end));
}

const commands = (...lines: readonly string[]): Buffer => Buffer.concat([...lines.map((line) => pktLine(line)), flushPkt]);

describe('lines of git', () => {
  test('come out as they went in, wherever the bytes are cut', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { maxLength: 8 }),
        fc.array(fc.nat(5000), { maxLength: 12 }),
        (contents, at) => {
          const bytes = Buffer.concat([...contents.map((content) => pktLine(Buffer.from(content))), flushPkt]);
          const reader = createPktReader();
          const found: (Buffer | 'flush')[] = [];
          for (const piece of cut(bytes, at)) {
            reader.push(piece);
            for (let line = reader.next(); line.kind === 'data' || line.kind === 'flush'; line = reader.next()) {
              found.push(line.kind === 'data' ? line.data : 'flush');
            }
          }
          expect(found).toEqual([...contents.map((content) => Buffer.from(content)), 'flush']);
        },
      ),
      { numRuns: 200 },
    );
  });

  test.each(['0001', '0002', '0003', '0004', 'fff1', '00A5', ' 005', '+005', '0x05', '-001', 'PACK'])(
    '%s is no line',
    (prefix) => {
      const reader = createPktReader();
      reader.push(Buffer.from(`${prefix}abcdef`));
      expect(reader.next()).toEqual({ kind: 'unreadable' });
      reader.push(flushPkt);
      expect(reader.next()).toEqual({ kind: 'unreadable' });
    },
  );

  test('bytes that come one by one are not copied again and again', () => {
    const reader = createPktReader();
    const usedMs = ownTime();
    for (let index = 0; index < 65_000; index += 1) {
      reader.push(Buffer.from(index < 4 ? ('fff0'[index] ?? '') : 'x'));
      reader.next();
    }
    expect(usedMs()).toBeLessThan(2000);
  });
});

describe('the commands of a push', () => {
  test('are told as create, update and delete', () => {
    const bytes = commands(
      `${zero} ${one} refs/heads/a\0 report-status side-band-64k agent=git/2.39`,
      `${one} ${two} refs/heads/b`,
      `${two} ${zero} refs/tags/c\n`,
    );
    expect(read(Buffer.concat([bytes, pack]))).toEqual({
      kind: 'read',
      updates: [
        { ref: 'refs/heads/a', change: 'create' },
        { ref: 'refs/heads/b', change: 'update' },
        { ref: 'refs/tags/c', change: 'delete' },
      ],
      capabilities: ['report-status', 'side-band-64k', 'agent=git/2.39'],
    });
  });

  test('are read the same wherever the bytes are cut', () => {
    const bytes = Buffer.concat([
      commands(`shallow ${one}`, `${zero} ${one} refs/heads/a\0atomic`, `${one} ${two} refs/heads/b`),
      pack,
    ]);
    fc.assert(
      fc.property(fc.array(fc.nat(5000), { maxLength: 20 }), (at) => {
        expect(read(...cut(bytes, at))).toEqual(read(bytes));
      }),
    );
    expect(read(bytes)).toMatchObject({ kind: 'read' });
  });

  test('an empty list changes nothing, and is what git asks with before a large push', () => {
    expect(read(flushPkt)).toEqual({ kind: 'read', updates: [], capabilities: [] });
  });

  test('a list of deletions needs no pack, any other one is waited for', () => {
    expect(read(commands(`${one} ${zero} refs/heads/a\0`))).toMatchObject({ kind: 'read' });
    const reader = createPushReader();
    expect(reader.push(commands(`${zero} ${one} refs/heads/a\0`))).toEqual({ kind: 'incomplete' });
    expect(reader.end()).toMatchObject({ kind: 'read' });
  });

  const first = `${zero} ${one} refs/heads/a\0`;
  test.each([
    ['a signed push', commands('push-cert\0report-status', 'certificate version 0.1')],
    ['push options', commands(`${first}report-status push-options`)],
    ['capabilities on a second line', commands(first, `${one} ${two} refs/heads/b\0atomic`)],
    ['no capabilities on the first line', commands(`${zero} ${one} refs/heads/a`)],
    ['the same reference twice', commands(first, `${one} ${two} refs/heads/a`)],
    ['ids of two lengths', commands(`${zero} ${'1'.repeat(64)} refs/heads/a\0`)],
    ['ids in capitals', commands(`${zero} ${'A'.repeat(40)} refs/heads/a\0`)],
    ['no change at all', commands(`${one} ${one} refs/heads/a\0`)],
    ['no full name', commands(`${zero} ${one} main\0`)],
    ['HEAD', commands(`${zero} ${one} HEAD\0`)],
    ['two dots in a name', commands(`${zero} ${one} refs/heads/a/../main\0`)],
    ['a space in a name', commands(`${zero} ${one} refs/heads/a main\0`)],
    ['a line feed in a name', commands(`${zero} ${one} refs/heads/a\nb\0`)],
    ['two spaces', commands(`${zero}  ${one} refs/heads/a\0`)],
    ['shallow behind a command', commands(first, `shallow ${one}`)],
    [
      'bytes that are no UTF-8',
      Buffer.concat([pktLine(Buffer.from([...Buffer.from(`${zero} ${one} refs/heads/`), 0xff, 0])), flushPkt]),
    ],
    ['a second list instead of a pack', Buffer.concat([commands(first), commands(first)])],
    ['something behind an empty list', Buffer.concat([flushPkt, pack])],
    ['a delimiter', Buffer.from('0001')],
  ])('%s is refused', (_, bytes) => {
    const reader = createPushReader();
    reader.push(bytes);
    expect(reader.end()).toMatchObject({ kind: 'unreadable' });
  });

  test('noise never throws, and no noise is a list', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 6 }), (pieces) => {
        const reader = createPushReader();
        for (const piece of pieces) {
          reader.push(Buffer.from(piece));
        }
        const { kind } = reader.end();
        expect(kind === 'read' && !Buffer.concat(pieces).toString('latin1').startsWith('0000')).toBe(false);
      }),
      { numRuns: 500 },
    );
  });

  test('a list without end is given up', () => {
    const reader = createPushReader();
    const line = pktLine(`shallow ${one}`);
    let reading: PushReading = { kind: 'incomplete' };
    for (let count = 0; count < 25_000 && reading.kind === 'incomplete'; count += 1) {
      reading = reader.push(line);
    }
    expect(reading).toMatchObject({ kind: 'unreadable' });
  });
});

test.each(['\t', '\r', '\n', '\0', '\v', '\u00a0'])('capabilities with %j between them are not read', (space) => {
  const list = commands(`${zero} ${one} refs/heads/x\0report-status${space}push-options`);
  expect(read(list, pack)).toMatchObject({ kind: 'unreadable' });
  const plain = commands(`${zero} ${one} refs/heads/x\0report-status agent=git/2\n`);
  expect(read(plain, pack)).toMatchObject({ kind: 'read', capabilities: ['report-status', 'agent=git/2'] });
});
