import { createHash } from 'node:crypto';
import { PassThrough, Readable } from 'node:stream';

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { isCasemateError } from '../../../src/base/errors.ts';
import type { Entry } from '../../../src/workspace/transfer/entries.ts';
import { readEntries, writeEntries } from '../../../src/workspace/transfer/frames.ts';

const limits = { files: 10, bytes: 1000 };

async function taken(
  bytes: Buffer | string,
  pieceBytes = 7,
): Promise<readonly { path: string; text?: string; sha256?: string }[]> {
  const whole = Buffer.from(bytes);
  const pieces = Array.from({ length: Math.ceil(whole.length / pieceBytes) }, (_, index) =>
    whole.subarray(index * pieceBytes, (index + 1) * pieceBytes),
  );
  const found = [];
  for await (const entry of readEntries(Readable.from(pieces), limits)) {
    if (entry.kind === 'folder') {
      found.push({ path: entry.path });
    } else {
      let text = '';
      for await (const piece of entry.content) {
        text += piece.toString('latin1');
      }
      found.push({ path: entry.path, text, sha256: await entry.sha256() });
    }
  }
  return found;
}

const hash = (text: string): string => createHash('sha256').update(text).digest('hex');
const file = (name: string, text: string): string =>
  `F 644 ${text.length} ${Buffer.byteLength(name)}\n${name}${text}${hash(text)}\n`;

describe('frames out of a sandbox', () => {
  it('are files and folders, whatever pieces they come in', async () => {
    const text = `D 755 0 0\n${file('a', 'one')}D 755 0 3\nsub${file('sub/empty', '')}E\n`;
    for (const size of [1, 7, 10_000]) {
      expect(await taken(text, size)).toEqual([
        { path: '' },
        { path: 'a', text: 'one', sha256: hash('one') },
        { path: 'sub' },
        { path: 'sub/empty', text: '', sha256: hash('') },
      ]);
    }
  });

  it.each<[string, string]>([
    ['a name that leads up', file('../x', 'y')],
    ['a name that leads up further in', file('a/../../x', 'y')],
    ['an absolute name', file('/etc/x', 'y')],
    ['an empty part', file('a//b', 'y')],
    ['a dot', file('./a', 'y')],
    ['a line feed in a name', file('a\nb', 'y')],
    ['a terminal sequence in a name', file('a\u001b[31m', 'y')],
    ['a name twice', file('a', 'y') + file('a', 'z')],
    ['more bytes than the limit', 'F 644 1001 1\na'],
    ['an end too early', 'F 644 10 1\nabc'],
    ['no end', file('a', 'y')],
    ['a wrong hash', `F 644 1 1\nay${'0'.repeat(63)}g\nE\n`],
    ['a reason', 'R 3\nwhy'],
    ['a long line', 'F'.repeat(1000)],
    ['nothing of ours', 'HTTP/1.1 200 OK\r\n\r\n'],
    ['a huge length', 'F 644 999999999999999999 1\na'],
  ])('are refused with %s', async (_: string, text) => {
    const whole = `D 755 0 0\n${text}`;
    await expect(taken(_ === 'no end' ? whole : `${whole}E\n`)).rejects.toMatchObject({ code: 'PATH_INVALID' });
  });

  it('make no more on the host than was counted: files, folders above what comes, and the length of all names', async () => {
    const top = 'D 755 0 0\n';
    const folder = (name: string): string => `D 755 0 ${name.length}\n${name}`;
    const names = (count: number): readonly string[] => Array.from({ length: count }, (_, at) => `${at}`);
    const deep = names(9).map((_, at) => folder(Array.from({ length: at + 1 }, () => 'x'.repeat(250)).join('/')));
    expect(
      await taken(
        `${top}${names(10)
          .map((name) => file(name, ''))
          .join('')}E\n`,
      ),
    ).toHaveLength(11);
    for (const [text, why] of [
      [
        top +
          names(11)
            .map((name) => file(name, ''))
            .join(''),
        '10 files',
      ],
      [top + folder('a/b/c'), 'that has not come'],
      [top + file('a', '') + file('a/b', ''), 'that has not come'],
      [folder('a'), 'that has not come'],
      [top + deep.join(''), '10 files'],
    ] as const) {
      await expect(taken(`${text}E\n`, 1000)).rejects.toThrow(why);
    }
  });

  it('are entries or one clear refusal, whatever they are', async () => {
    const piece = fc.oneof(
      fc.uint8Array(),
      fc.constantFrom('D 755 0 0\n', 'F 644 3 1\na', 'E\n', 'R 1\nx', file('a', 'b'), '\n').map((text) => Buffer.from(text)),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(piece), async (parts) => {
        const error: unknown = await taken(Buffer.concat(parts.map((part) => Buffer.from(part)))).catch(
          (thrown: unknown) => thrown,
        );
        expect(Array.isArray(error) || (isCasemateError(error) && error.code === 'PATH_INVALID')).toBe(true);
      }),
    );
  });

  it('go in as they come out', async () => {
    const stream = new PassThrough();
    async function* entries(): AsyncGenerator<Entry> {
      yield { kind: 'folder', path: '' };
      const content = (async function* () {
        yield Buffer.from('one');
      })();
      yield { kind: 'file', path: 'a', executable: true, size: 3, content, sha256: async () => '' };
    }
    const [hashes, text] = await Promise.all([writeEntries(stream, entries()), stream.toArray()]);
    expect(hashes).toEqual([hash('one')]);
    expect(await taken(Buffer.concat(text))).toMatchObject([{ path: '' }, { path: 'a', text: 'one' }]);
  });
});
