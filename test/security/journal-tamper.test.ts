import { appendFile, copyFile, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, assert, beforeAll, describe, expect, test } from 'vitest';

import { encodeRecord, lineHash, noLine } from '../../src/journal/encode-record.ts';
import { decodeRecord } from '../../src/journal/line-grammar.ts';
import { openJournal } from '../../src/journal/open-journal.ts';
import { publicKeyPath, readPublicKey } from '../../src/journal/journal-keys.ts';
import { verifySegments } from '../../src/journal/verify-journal.ts';
import { readWitness } from '../../src/journal/witness.ts';
import { run } from '../../src/system/process.ts';
import { journalFolder, type JournalFolder } from '../helpers/journal-folder.ts';
import { entryOf } from '../helpers/journal-log.ts';

/**
 * Promise: changing, removing, reordering or shortening the journal is found by a verifier that holds only the witness, and
 * a hostile file neither hangs it nor passes. (Attack catalogue: AUD-05, AUD-07, AUD-16.)
 */

let place: JournalFolder;
let lines: readonly string[];
let verify: (content: string | Uint8Array) => Promise<{ valid: boolean; line: number | undefined; why: string | undefined }>;

beforeAll(async () => {
  place = await journalFolder();
  const journal = await openJournal({ ...place, checkpointEvery: 6 });
  for (let index = 0; index < 14; index += 1) {
    await journal.append(entryOf(index));
  }
  await journal.close();
  lines = (await readFile(join(place.folder, 'journal-000001.jsonl'), 'utf8')).trimEnd().split('\n');
  const witness = await readWitness(place.witnessPath);
  const path = join(place.root, 'changed.jsonl');
  verify = async (content) => {
    await writeFile(path, content);
    const { valid, fault } = await verifySegments([{ name: 'changed.jsonl', path }], { witness, blockBytes: 16_384 });
    return { valid, line: fault?.line, why: fault?.why };
  };
});

afterAll(async () => {
  await place[Symbol.asyncDispose]();
});

const fileOf = (content: readonly string[]): string => content.map((line) => `${line}\n`).join('');

async function casemate(args: readonly string[]) {
  const program = join(import.meta.dirname, '../../src/cli/main.ts');
  const env = { CASEMATE_HOME: place.root, PATH: '/usr/bin:/bin', HOME: place.root };
  const { exitCode, stdout, stderr } = await run(process.execPath, [program, 'journal', 'verify', ...args], {
    env,
    timeoutMs: 50_000,
  });
  return { exitCode, stdout: stdout.toString(), stderr: stderr.toString() };
}

describe('a journal somebody has changed', () => {
  test('is valid before the change, of 17 records and more', async () => {
    expect(lines.length).toBeGreaterThanOrEqual(17);
    expect(await verify(fileOf(lines))).toEqual({ valid: true, line: undefined, why: undefined });
  });

  test('is found with one bit flipped, at every byte, and its line named', { timeout: 300_000 }, async () => {
    const whole = Buffer.from(fileOf(lines));
    let line = 1;
    for (let at = 0; at < whole.length; at += 1) {
      const changed = Buffer.from(whole);
      changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8));
      const found = await verify(changed);
      expect(found.valid, `byte ${at}`).toBe(false);
      // Between the last two nobody can tell; of the last one it is the witness that tells, of the whole.
      const named = [
        [line, 0],
        [line, line + 1],
      ][lines.length - line] ?? [line];
      expect(named, `byte ${at} of line ${line}: ${found.why}`).toContain(found.line);
      line += whole[at] === 0x0a ? 1 : 0;
    }
  });

  test('is found with any line removed, repeated or swapped', async () => {
    for (const index of lines.keys()) {
      expect((await verify(fileOf(lines.toSpliced(index, 1)))).valid, `removed ${index}`).toBe(false);
      expect(await verify(fileOf(lines.toSpliced(index, 0, lines[index] ?? '')))).toMatchObject({
        valid: false,
        line: index + 2,
      });
      const next = (index + 1) % lines.length;
      expect((await verify(fileOf(lines.with(index, lines[next] ?? '').with(next, lines[index] ?? '')))).valid).toBe(false);
    }
  });

  test('is found with its tail cut at any line, and at any byte of the last one', async () => {
    for (let count = 0; count < lines.length; count += 1) {
      expect((await verify(fileOf(lines.slice(0, count)))).valid, `${count} lines`).toBe(false);
    }
    const whole = fileOf(lines);
    for (let cut = 1; cut <= (lines.at(-1)?.length ?? 0); cut += 1) {
      expect((await verify(whole.slice(0, -cut))).valid, `${cut} bytes`).toBe(false);
    }
  });

  test('is found with its chain recomputed without the key, checkpoints kept or left out', async () => {
    const rechain = (kept: readonly string[]): string => {
      let previous = noLine;
      return fileOf(
        kept.map((line, index) => {
          const record = decodeRecord(Buffer.from(line));
          assert(record);
          const forged = encodeRecord({ ...record, seq: index + 1, previous, decision: index === 9 ? 'allow' : record.decision });
          previous = lineHash(forged);
          return forged;
        }),
      );
    };
    expect((await verify(rechain(lines))).why).toBe('the signature of the checkpoint is wrong');
    const bare = rechain(lines.filter((line) => !line.includes('journal.checkpoint')));
    expect((await verify(bare)).valid).toBe(false);
    const path = join(place.root, 'bare.jsonl');
    await writeFile(path, bare);
    const publicKey = await readPublicKey(publicKeyPath(place.folder));
    expect((await verifySegments([{ name: 'bare', path }], { publicKey })).fault?.why).toContain('no signed checkpoint');
  });

  test('is found with anything behind its end', async () => {
    expect((await verify(`${fileOf(lines)}\n`)).valid).toBe(false);
    expect((await verify(`${fileOf(lines)}x`)).valid).toBe(false);
    expect((await verify(`${fileOf(lines)}\0`)).valid).toBe(false);
    expect((await verify(`\ufeff${fileOf(lines)}`)).line).toBe(1);
    expect((await verify(fileOf(lines).replaceAll('\n', '\r\n'))).line).toBe(1);
  });
});

describe('the witness', () => {
  test('is itself checked: a changed or foreign one is no measure', async () => {
    const text = await readFile(place.witnessPath, 'utf8');
    const path = join(place.root, 'witness-changed.json');
    await writeFile(path, text.replace(/"seq": (\d+)/, '"seq": 5'));
    const witness = await readWitness(path);
    const segment = { name: 'journal-000001.jsonl', path: join(place.folder, 'journal-000001.jsonl') };
    expect((await verifySegments([segment], { witness })).fault).toMatchObject({
      segment: 'witness',
      why: 'the signature of the witness is wrong',
    });
    await writeFile(path, text.replace('"version"', '"extra": 1, "version"'));
    await expect(readWitness(path)).rejects.toMatchObject({ code: 'JOURNAL_INVALID' });
  });

  test('holds even against somebody who has the signing key', async () => {
    const other = await journalFolder();
    await using _ = other;
    await mkdir(join(other.folder, 'keys'), { recursive: true, mode: 0o700 });
    for (const name of ['signing.pem', 'credential-hmac.key']) {
      await copyFile(join(place.folder, 'keys', name), join(other.folder, 'keys', name));
    }
    const journal = await openJournal(other);
    await Promise.all(lines.map((_line, index) => journal.append({ ...entryOf(index), decision: 'allow' })));
    await journal.close();
    const forged = await readFile(join(other.folder, 'journal-000001.jsonl'));
    expect((await verify(forged)).why).toMatch(/not the one the witness has seen/);
  });
});

describe('a hostile file given to the verifier', () => {
  test('is answered on the command line with exit 1 and the first bad line', async () => {
    const path = join(place.root, 'cli.jsonl');
    await writeFile(path, fileOf(lines.toSpliced(4, 1)));
    const answer = await casemate([path]);
    expect(answer).toMatchObject({
      exitCode: 1,
      stdout: expect.stringContaining(`${path}:5: record 6 stands where record 5 belongs`),
    });
    await writeFile(path, fileOf(lines));
    expect((await casemate([path])).exitCode).toBe(0);
    expect(JSON.parse((await casemate(['--json'])).stdout)).toMatchObject({ valid: true, records: lines.length });
  });

  test.each<[string, (path: string) => Promise<unknown>]>([
    ['an empty file', (path) => writeFile(path, '')],
    ['a line of 64 MiB', (path) => writeFile(path, Buffer.alloc(64 * 1024 * 1024, 'a'))],
    ['nesting a million deep', (path) => writeFile(path, `${'['.repeat(1_000_000)}\n`)],
    ['a pipe', (path) => run('mkfifo', [path], { env: { PATH: '/usr/bin:/bin' } })],
    ['a folder', (path) => mkdir(path)],
    ['a link to a device that never ends', (path) => symlink('/dev/zero', path)],
    [
      'a packed file',
      (path) => writeFile(path, Buffer.from('1f8b0800000000000003edc1010d000000c2a0f74f6d0e37a000000000', 'hex')),
    ],
  ])('is refused in time: %s', async (name, make) => {
    const path = join(place.root, `hostile-${name.replaceAll(' ', '-')}`);
    await make(path);
    const answer = await casemate([path]);
    expect(answer.exitCode).toBe(1);
    expect(answer.stdout + answer.stderr).toMatch(/not valid|not a regular file/);
  });

  test('is refused in time: a device that never ends', async () => {
    expect(await casemate(['/dev/zero'])).toMatchObject({
      exitCode: 1,
      stdout: expect.stringMatching(/^not valid: .*not a regular file/),
    });
  });

  test('is named with its line when a line is longer than 64 KiB', async () => {
    const path = join(place.root, 'long.jsonl');
    await writeFile(path, fileOf(lines.slice(0, 3)));
    await appendFile(path, `{"action":"${'a'.repeat(200_000)}`);
    expect((await casemate([path])).stdout).toContain('long.jsonl:4: the line is longer than 65536 bytes');
  });
});
