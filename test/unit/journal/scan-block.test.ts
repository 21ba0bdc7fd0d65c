import { assert, describe, expect, test } from 'vitest';

import { encodeRecord, lineHash, noLine, placeEntry } from '../../../src/journal/encode-record.ts';
import { decodeRecord } from '../../../src/journal/line-grammar.ts';
import { emptyChain, linkScan } from '../../../src/journal/link-scans.ts';
import { scanBlock } from '../../../src/journal/scan-block.ts';
import { bytesOf, entryOf, memoryKeys, memoryLog } from '../../helpers/journal-log.ts';

const log = memoryLog(20);
const whole = bytesOf(log.lines);

const starts = log.lines.map((_, index) => bytesOf(log.lines.slice(0, index)).length);
const options = { publicKey: log.keys.publicKey, wanted: log.witness.seq };
const chains = log.lines.map((_, index) => linkScan(emptyChain, scanBlock(bytesOf(log.lines.slice(0, index)), options)).chain);

/** Whether nothing is found wrong with the log when the byte `at` is changed by `mask`; lines before it are known to be good. */
function passesChanged(at: number, mask: number, measure: 'witness' | 'signature'): boolean {
  const index = starts.findLastIndex((start) => start <= at);
  const changed = Buffer.from(whole.subarray(starts[index]));
  const offset = at - (starts[index] ?? 0);
  changed[offset] = (changed[offset] ?? 0) ^ mask;
  const { chain, fault } = linkScan(chains[index] ?? emptyChain, scanBlock(changed, options));
  const isFinished = changed.at(-1) === 0x0a;
  return (
    fault === undefined &&
    isFinished &&
    (measure === 'witness' ? chain.wantedHash === log.witness.hash : chain.signedThrough === 20)
  );
}

function faultOf(lines: readonly string[], keys = log.keys): { line: number; why: string } | undefined {
  return linkScan(emptyChain, scanBlock(bytesOf(lines), { publicKey: keys.publicKey, wanted: 0 })).fault;
}

describe('a log of 20 records', () => {
  test('is valid as it was written', () => {
    expect(passesChanged(whole.length - 1, 0, 'witness')).toBe(true);
    expect(passesChanged(0, 0, 'signature')).toBe(true);
  });

  test('is not valid with any one bit of it flipped', () => {
    const missed: number[] = [];
    for (let bit = 0; bit < whole.length * 8; bit += 1) {
      if (passesChanged(bit >> 3, 1 << (bit & 7), 'witness')) {
        missed.push(bit);
      }
    }
    expect(missed).toEqual([]);
  }, 60_000);

  test('shows every changed byte even without the witness, because its last line is signed', () => {
    const missed = [...whole.keys()].filter((at) => passesChanged(at, 1, 'signature'));
    expect(missed).toEqual([]);
  }, 60_000);

  test.each(Array.from({ length: 19 }, (_, index) => index))('names the line after a removed line %i', (index) => {
    expect(faultOf(log.lines.toSpliced(index, 1))?.line).toBe(index + 1);
  });

  test('names the line of a repeated one', () => {
    for (const index of log.lines.keys()) {
      expect(faultOf(log.lines.toSpliced(index, 0, log.lines[index] ?? ''))?.line).toBe(index + 2);
    }
  });

  test('shows every swap of two lines', () => {
    for (let a = 0; a < 20; a += 1) {
      for (let b = a + 1; b < 20; b += 1) {
        expect(faultOf(log.lines.with(a, log.lines[b] ?? '').with(b, log.lines[a] ?? ''))?.line).toBe(a + 1);
      }
    }
  });

  test('is not valid when its chain was recomputed without the key', () => {
    let previous = noLine;
    const forged = log.lines.map((line, index) => {
      const record = decodeRecord(Buffer.from(line));
      assert(record);
      const next = encodeRecord({ ...record, previous, decision: index === 10 ? 'deny' : record.decision });
      previous = lineHash(next);
      return next;
    });
    expect(faultOf(forged)).toEqual({ line: 14, why: 'the signature of the checkpoint is wrong' });
  });

  test('is not valid when it is signed by another key', () => {
    expect(faultOf(log.lines, memoryKeys())?.why).toMatch(/signed by key [0-9a-f]{16}, not by/);
  });
});

describe('a chain', () => {
  test('may not leave out a number, even where its hashes fit', () => {
    const first = log.lines[0] ?? '';
    const place = { seq: 3, time: '2026-01-01T00:00:02.000Z', previous: lineHash(first) };
    expect(faultOf([first, placeEntry(entryOf(3), place).line])).toEqual({
      line: 2,
      why: expect.stringContaining('record 3 stands where record 2 belongs'),
    });
  });

  test('may not go on for more than 1,000 records without a checkpoint', () => {
    const { lines, keys } = memoryLog(1200, { every: 5000 });
    expect(faultOf(lines, keys)?.line).toBe(1001);
    expect(faultOf(memoryLog(2200, { every: 1001, keys }).lines, keys)).toBeUndefined();
  });

  test('gives the same verdict however it is cut into blocks', () => {
    const { lines, keys } = memoryLog(60, { every: 25 });
    for (let size = 1; size < 60; size += 7) {
      let chain = emptyChain;
      for (let start = 0; start < 60; start += size) {
        const linked = linkScan(
          chain,
          scanBlock(bytesOf(lines.slice(start, start + size)), { publicKey: keys.publicKey, wanted: 33 }),
        );
        expect(linked.fault).toBeUndefined();
        chain = linked.chain;
      }
      expect(chain).toMatchObject({ records: 60, unsigned: 0, signedThrough: 60, wantedHash: lineHash(lines[32] ?? '') });
    }
  });
});

describe('a line that is not canonical', () => {
  const good = log.lines[3] ?? '';
  test.each([
    ['an empty line', '', 'the line is empty'],
    ['text', 'hello', 'the line is not JSON'],
    ['a list', '[1]', 'the line is not a JSON object'],
    ['deep nesting', '['.repeat(30_000), 'the line is not JSON'],
    ['an unknown member', good.replace('"outcome"', '"extra":1,"outcome"'), 'the record has a member "extra" that no record has'],
    [
      'a member that drives a terminal',
      good.replace('"outcome"', '"\\u001b[2J":1,"outcome"'),
      'the record has a member "\\x1b[2J" that no record has',
    ],
    ['a member twice', good.replace('"outcome":"ok"', '"outcome":"no","outcome":"ok"'), /not in canonical form/],
    ['a space', good.replace(',"outcome"', ', "outcome"'), /not in canonical form/],
    ['another spelling of a number', good.replace('"status":200', '"status":2e2'), /not in canonical form/],
    ['another spelling of a text', good.replace('"ok"', '"\\u006fk"'), /not in canonical form/],
    ['another order', good.replace('"method":"POST","reused":true', '"reused":true,"method":"POST"'), /not in canonical order/],
    ['a missing member', good.replace('"outcome":"ok",', ''), 'the record has no "outcome"'],
    ['a day that does not exist', good.replace('2026-01-01', '2026-13-01'), /value no record has/],
    ['a line of more than 64 KiB', good.replace('"ok"', `"${'x'.repeat(70_000)}"`), 'the line is longer than 65536 bytes'],
  ])('is refused: %s', (_, line, why) => {
    expect(line).not.toBe(good);
    expect(faultOf(log.lines.with(3, line))).toEqual({
      line: 4,
      why: typeof why === 'string' ? why : expect.stringMatching(why),
    });
  });

  test('is refused when it is not UTF-8', () => {
    const bytes = bytesOf(log.lines);
    const at = bytes.indexOf('host4');
    bytes[at] = 0xff;
    expect(scanBlock(bytes, { publicKey: log.keys.publicKey, wanted: 0 }).fault).toEqual({
      line: 4,
      why: 'the line is not UTF-8',
    });
  });
});
