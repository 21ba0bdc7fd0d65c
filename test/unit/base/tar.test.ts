import { expect, test } from 'vitest';

import { readTar, tarEnd, tarHeader, tarPadding, type TarHeader } from '../../../src/base/tar.ts';
import { run } from '../../../src/system/process.ts';

const env = { PATH: '/usr/bin:/bin' };

async function read(bytes: Buffer, pieceBytes = 100) {
  async function* pieces() {
    for (let at = 0; at < bytes.length; at += pieceBytes) {
      yield bytes.subarray(at, at + pieceBytes);
    }
  }
  const rows = [];
  for await (const { name, kind, mode, size, target, content } of readTar(pieces())) {
    const parts: Buffer[] = [];
    for await (const part of content()) {
      parts.push(part);
    }
    rows.push({ name, kind, mode, size, target, text: Buffer.concat(parts).toString('utf8') });
  }
  return rows;
}

function file(name: string, text: string, more: Partial<TarHeader> = {}): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([
    tarHeader({ name, kind: 'file', mode: 0o644, size: bytes.length, ...more }),
    bytes,
    tarPadding(bytes.length),
  ]);
}

const long = `${'deep/'.repeat(40)}näme`;

test('what is written is read again, long names and all, whatever pieces it comes in', async () => {
  const folder = tarHeader({ name: 'a/', kind: 'folder', mode: 0o755, size: 0 });
  const link = tarHeader({ name: 'l', kind: 'link', mode: 0o777, size: 0, target: `${'x/'.repeat(80)}y` });
  const all = Buffer.concat([folder, file('a/f', 'one'), file(long, 'two'), link, tarEnd]);
  for (const pieceBytes of [1, 511, 512, 100_000]) {
    expect(await read(all, pieceBytes)).toEqual([
      { name: 'a/', kind: 'folder', mode: 0o755, size: 0, target: '', text: '' },
      { name: 'a/f', kind: 'file', mode: 0o644, size: 3, target: '', text: 'one' },
      { name: long, kind: 'file', mode: 0o644, size: 3, target: expect.any(String), text: 'two' },
      { name: 'l', kind: 'link', mode: 0o777, size: 0, target: `${'x/'.repeat(80)}y`, text: '' },
    ]);
  }
});

test('it is read by tar, and what tar writes in its forms is read', async () => {
  const ours = Buffer.concat([file(long, 'two'), file('plain', 'text'), tarEnd]);
  const listed = await run('tar', ['-t'], { env, input: ours, timeoutMs: 10_000 });
  expect(listed.stdout.toString('utf8').split('\n')).toHaveLength(3);
  for (const format of ['gnu', 'pax', 'ustar']) {
    const made = await run(
      'tar',
      [
        '-c',
        `--format=${format}`,
        '-C',
        import.meta.dirname,
        '--transform',
        `s,^,${'y'.repeat(90)}/${'z'.repeat(60)}/,`,
        'tar.test.ts',
      ],
      { env, timeoutMs: 10_000 },
    );
    const [entry] = await read(made.stdout, 4096);
    expect(entry?.name).toBe(`${'y'.repeat(90)}/${'z'.repeat(60)}/tar.test.ts`);
    expect(entry?.text).toContain('it is read by tar');
  }
});

test.each([
  ['a wrong sum', (bytes: Buffer) => bytes.fill(0x41, 0, 1)],
  ['a cut', (bytes: Buffer) => bytes.subarray(0, 600)],
  [
    'a size that is none',
    (bytes: Buffer) => Buffer.concat([bytes.subarray(0, 124), Buffer.from('\x80\0\0\0\0\0\0\0\0\0\0\x09'), bytes.subarray(136)]),
  ],
])('%s is no archive', async (_, spoil) => {
  await expect(read(spoil(Buffer.concat([file('name', 'x'.repeat(700)), tarEnd])))).rejects.toThrow(RangeError);
});
