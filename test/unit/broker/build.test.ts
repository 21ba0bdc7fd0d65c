/** What a build brings along and says: nothing of it leads out, and nothing that runs reaches the engine's own builder. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { tarEnd, tarHeader, tarPadding, type TarHeader } from '../../../src/base/tar.ts';
import { buildCall } from '../../../src/broker/build/build-call.ts';
import { expand, pairs, parseDockerfile, words } from '../../../src/broker/build/parse-dockerfile.ts';
import { contextLimits, readContext } from '../../../src/broker/build/read-context.ts';
import { readQuery } from '../../../src/broker/call.ts';
import type { BrokerParts } from '../../../src/broker/parts.ts';
import { ownTime } from '../../helpers/own-time.ts';
import { assemblyText } from '../../../src/engines/docker/nested/assembly.ts';
import { brokerLab, type BrokerLab } from './broker-lab.ts';

let folder = '';
let count = 0;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'casemate-context-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

function entry(name: string, text = '', more: Partial<TarHeader> = {}): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([
    tarHeader({ name, kind: 'file', mode: 0o644, size: bytes.length, ...more }),
    bytes,
    tarPadding(bytes.length),
  ]);
}

/** With another type than any that is written here. */
function odd(type: string, name = 'odd'): Buffer {
  const header = tarHeader({ name, kind: 'file', mode: 0o644, size: 0 });
  header.write(type, 156);
  header.write('        ', 148);
  header.write(
    `${header
      .reduce((sum, byte) => sum + byte, 0)
      .toString(8)
      .padStart(6, '0')}\0`,
    148,
  );
  return header;
}

async function context(...entries: readonly Buffer[]) {
  count += 1;
  const file = join(folder, String(count));
  const read = await readContext(Readable.from([Buffer.concat([...entries, tarEnd])]), file, 'Dockerfile');
  return { ...read, written: await readFile(file) };
}

const dockerfile = entry('Dockerfile', 'FROM scratch\n');

describe('what comes with a build', () => {
  test('is written anew below a folder of its own, without set-id bits', async () => {
    const read = await context(
      dockerfile,
      entry('./a/b', 'text', { mode: 0o4755 }),
      entry('l', '', { kind: 'link', target: 'a/b' }),
    );
    expect(read.dockerfile).toBe('FROM scratch\n');
    expect(read.entries).toBe(3);
    expect(['Dockerfile', 'a/b', 'a', 'l', 'b', 'a/', 'Docker'].filter(read.has)).toEqual(['Dockerfile', 'a/b', 'a', 'l']);
    expect(read.written.toString('latin1')).toContain('c/a/b');
    expect(read.written.toString('latin1')).not.toContain('04755');
    const packed = gzipSync(Buffer.concat([dockerfile, tarEnd]));
    expect((await readContext(Readable.from([packed]), join(folder, 'packed'), 'Dockerfile')).dockerfile).toBe('FROM scratch\n');
  });

  test.each([
    ['a name that leads up', entry('../x')],
    ['a name that leads up further in', entry('a/../../x')],
    ['an absolute name', entry('/etc/passwd')],
    ['a link that leads up', entry('l', '', { kind: 'link', target: '../../etc/passwd' })],
    ['a link further in that leads up', entry('a/l', '', { kind: 'link', target: '../../x' })],
    ['a hard link', odd('1')],
    ['a device', odd('3')],
    ['a block device', odd('4')],
    ['a pipe', odd('6')],
    ['a type that nobody knows', odd('Q')],
  ])('is refused with %s', async (_, bad) => {
    await expect(context(dockerfile, bad)).rejects.toMatchObject({ status: 403, rule: 'confinement' });
  });

  test('is bounded in entries, whatever their names, and in names: nothing else bounds what is written for it', async () => {
    const few = { ...contextLimits, entries: 100, namesBytes: 10_000 };
    const bounded = async (entries: readonly Buffer[]) => {
      count += 1;
      return readContext(Readable.from([...entries, dockerfile, tarEnd]), join(folder, String(count)), 'Dockerfile', few);
    };
    const again = (length: number) => Array.from({ length }, () => entry('a/', '', { kind: 'folder' }));
    await expect(bounded(again(100))).rejects.toMatchObject({ rule: 'limits' });
    expect(await bounded(again(99))).toMatchObject({ entries: 2 });
    const long = (length: number) => Array.from({ length }, (_, at) => entry(`${at}/${'x'.repeat(1000)}`));
    await expect(bounded(long(10))).rejects.toMatchObject({ rule: 'limits' });
    expect(await bounded(long(9))).toMatchObject({ entries: 10 });
  });

  test('is refused where headers that extend an entry have no end', async () => {
    const one = entry('é'.repeat(60)).subarray(0, 1024);
    await expect(context(...Array.from({ length: 9 }, () => one), dockerfile)).rejects.toThrow('too many extended headers');
    expect((await context(one, one, entry('x'), dockerfile)).entries).toBe(2);
  });

  test('is refused where it is no archive, or holds no Dockerfile', async () => {
    await expect(context(Buffer.alloc(512, 0x41))).rejects.toMatchObject({ status: 400 });
    await expect(context(entry('other'))).rejects.toThrow('Cannot locate specified Dockerfile');
  });
});

describe('a Dockerfile', () => {
  test('is read in lines, words and flags', () => {
    const lines = parseDockerfile('# c\nfrom x AS y\nRUN a \\\n  b\n# between\nCOPY --from=y ["a b", "/c"]\n');
    expect(lines.map(({ word, flags, rest, list }) => [word, flags, rest.replaceAll(/\s+/g, ' '), list])).toEqual([
      ['FROM', {}, 'x AS y', undefined],
      ['RUN', {}, 'a b', undefined],
      ['COPY', { from: 'y' }, '["a b", "/c"]', ['a b', '/c']],
    ]);
    expect(words(`a "b c" 'd $e' f\\ g`)).toEqual(['a', 'b c', 'd $e', 'f g']);
    expect(pairs('A=1 B="2 3"')).toEqual([
      ['A', '1'],
      ['B', '2 3'],
    ]);
    expect(pairs('A one two')).toEqual([['A', 'one two']]);
    expect(expand('$A ${B:-x} ${A:+y} \\$A ${C}', new Map([['A', '1']]))).toBe('1 x y $A ');
    const spent = ownTime();
    const open = '${a:-'.repeat(50_000);
    expect(expand(open, new Map())).toBe(open);
    // What stands for it may be long, and what is open behind it stays.
    const long = 'x'.repeat(4000);
    expect(expand(`\${C:-${long}}\${A:-y $A \\$A`, new Map([['A', '1']]))).toBe(`${long}\${A:-y 1 $A`);
    expect(spent()).toBeLessThan(5000);
  });

  test.each([
    ['ONBUILD RUN x', 403],
    ['RUN <<EOF\nx\nEOF', 403],
    ['# escape=`\nFROM x', 403],
    ['INCLUDE x', 400],
    ['RUN', 400],
  ])('%j is refused', (text, status) => {
    expect(() => parseDockerfile(text)).toThrow(expect.objectContaining({ status }));
  });
});

describe('a build', () => {
  let lab: BrokerLab;
  beforeAll(async () => {
    lab = await brokerLab();
  });
  afterAll(() => lab.close());
  const built = async (text: string, ...entries: readonly Buffer[]): Promise<string> => {
    const body = Buffer.concat([entry('Dockerfile', text), ...entries, tarEnd]);
    return (await lab.ask('POST', '/build', body)).text;
  };

  test.each([
    ['a value that doubles', `FROM scratch\nENV a=${'x'.repeat(64)}\n${'ENV a=$a$a\n'.repeat(20)}`, 'stand for is too long'],
    [
      'words that each are long',
      `FROM scratch\nARG a=${'x'.repeat(60_000)}\nCOPY ${'${a} '.repeat(400)}/\n`,
      'stand for is too long',
    ],
    [
      'many variables',
      `FROM scratch\nENV ${Array.from({ length: 1025 }, (_, at) => `a${at}=`).join(' ')}\n${'ENV b=1\n'.repeat(990)}`,
      'no more than 1024 variables',
    ],
  ])('is refused with %s', async (_, text, why) => {
    const spent = ownTime();
    expect(await built(text)).toContain(why);
    expect(spent()).toBeLessThan(5000);
  });

  test('finds what it copies, also a folder of which only the content came', async () => {
    // What the engine would do is no part of this lab.
    expect(await built('FROM scratch\nCOPY z a/b c /x/\n', entry('z/f'), entry('a/b'), entry('c/'))).toContain('not part of');
    expect(await built('FROM scratch\nCOPY y /x/\n', entry('yy'), entry('y-/f'))).toContain('no such file or folder');
  });

  test('holds the command back where nobody reads what it writes', async () => {
    const frame = Buffer.concat([Buffer.from([1, 0, 0, 0, 0, 1, 0, 0]), Buffer.alloc(65_536, 0x61)]);
    let pulled = 0;
    async function* flood(): AsyncGenerator<Buffer> {
      for (; pulled < 500; pulled += 1) {
        yield frame;
      }
    }
    const { containers } = lab;
    const parts = {
      offer: { build: true, images: [] },
      names: { now: () => ({ tags: {} }) },
      containers: {
        ...containers,
        logs: async () => Readable.from(flood(), { highWaterMark: 1 }),
        images: { ...containers.images },
      },
    };
    const archive = Buffer.concat([entry('Dockerfile', 'FROM casemate/sandbox\nRUN yes\n'), tarEnd]);
    const gone = new AbortController();
    const call = {
      params: [],
      query: readQuery(''),
      read: () => Promise.reject(new Error('no part of this')),
      content: Readable.from([archive]),
      isUpgrade: false,
      signal: gone.signal,
      effect: async () => undefined,
    };
    const reply = await buildCall(join(folder, 'flood'))(call, parts as unknown as BrokerParts);
    const source = reply.kind === 'stream' ? reply.source : expect.unreachable();
    for (let turn = 0; turn < 3000; turn += 1) {
      await nextTurn();
    }
    expect(pulled).toBeGreaterThan(0);
    expect(pulled).toBeLessThan(20);
    source.destroy();
  });
});

describe('what the engine builds', () => {
  const facts = { labels: { 'casemate.sandbox': 'cm-1' }, user: '1000:1000' };
  const image = `sha256:${'a'.repeat(64)}`;

  test("has our labels first, and every file is the agent's", () => {
    const text = assemblyText(
      image,
      [
        { kind: 'copy', sources: ['a b'], target: '/x/' },
        { kind: 'folder', path: '/app' },
        { kind: 'env', name: 'A', value: '$HOME "q" \\' },
      ],
      facts,
    );
    expect(text.split('\n')).toEqual([
      `FROM ${image}`,
      'LABEL "casemate.sandbox"="cm-1"',
      'COPY --chown=1000:1000 ["c/a b","/x/"]',
      'COPY --chown=1000:1000 ["e/","/app/"]',
      String.raw`ENV A="\$HOME \"q\" \\"`,
      '',
    ]);
  });

  test.each(['x"\nRUN touch /y', 'x\r\nRUN y', 'x\\\nRUN y', '", "y"]\nRUN z'])('holds no line of a client: %j', (value) => {
    for (const instruction of [
      { kind: 'env', name: 'A', value },
      { kind: 'label', name: value, value },
      { kind: 'word', word: 'USER', value },
    ] as const) {
      expect(() => assemblyText(image, [instruction], facts)).toThrow('line feed');
    }
    for (const text of [
      assemblyText(image, [{ kind: 'copy', sources: [value], target: value }], facts),
      assemblyText(image, [{ kind: 'folder', path: value }], facts),
      assemblyText(image, [{ kind: 'list', word: 'CMD', values: [value] }], facts),
    ]) {
      expect(text.split('\n')).toHaveLength(4);
      expect(text).not.toMatch(/^RUN/m);
    }
  });
});
