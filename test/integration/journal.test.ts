import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, chmod, lstat, open, readFile, readdir, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';

import { followJournal } from '../../src/journal/follow.ts';
import { openJournal } from '../../src/journal/open-journal.ts';
import { queryJournal, sandboxIds } from '../../src/journal/query.ts';
import { listSegments } from '../../src/journal/segments.ts';
import { verifyJournal, verifySegments } from '../../src/journal/verify-journal.ts';
import { readWitness } from '../../src/journal/witness.ts';
import { publicKeyPath, readPublicKey } from '../../src/journal/journal-keys.ts';
import { all, firstSegment, recordsOf, writeSome } from '../helpers/journal-contents.ts';
import { journalFolder, type JournalFolder } from '../helpers/journal-folder.ts';
import { entryOf } from '../helpers/journal-log.ts';

describe('a journal', () => {
  test('holds what was appended, in order, and is valid with and without its witness', async () => {
    await using place = await journalFolder();
    await writeSome(place);
    const records = await recordsOf(place);
    expect(records.map(({ seq }) => seq)).toEqual(records.map((_, index) => index + 1));
    expect(records.map(({ action }) => action)).toEqual([
      'journal.opened',
      'journal.checkpoint',
      ...Array.from({ length: 5 }, () => 'net.exchange'),
      'journal.checkpoint',
    ]);
    expect(await verifyJournal(place.folder, place)).toMatchObject({ valid: true, records: 8, witnessed: 8, unsigned: 0 });
    await rm(place.witnessPath);
    expect(await verifyJournal(place.folder, place)).toMatchObject({ valid: true, witnessed: undefined });
  });

  test('goes on with its chain and its keys when opened again', async () => {
    await using place = await journalFolder();
    await writeSome(place);
    const first = await openJournal(place);
    const hash = first.credentialHash('secret');
    await first.close();
    const second = await openJournal(place);
    expect(second.credentialHash('secret')).toBe(hash);
    expect(hash).toMatch(/^[0-9a-f]{16}$/);
    await second.close();
    expect(await verifyJournal(place.folder, place)).toMatchObject({ valid: true, fault: undefined });
  });

  test('is private: folders 0700, files 0600', async () => {
    await using place = await journalFolder();
    await writeSome(place);
    for (const path of [
      '',
      'keys',
      'keys/signing.pem',
      'keys/credential-hmac.key',
      'keys/signing.pub.pem',
      'journal-000001.jsonl',
      'writer.lock',
    ]) {
      const stats = await lstat(join(place.folder, path));
      expect((stats.mode & 0o777).toString(8), path).toBe(stats.isDirectory() ? '700' : '600');
    }
    expect(((await lstat(place.witnessPath)).mode & 0o777).toString(8)).toBe('600');
  });

  test('goes on across segments, and is read and verified across them', async () => {
    await using place = await journalFolder();
    const journal = await openJournal({ ...place, maxSegmentBytes: 4096 });
    for (let index = 0; index < 60; index += 1) {
      await journal.append(entryOf(index));
    }
    await journal.close();
    const segments = await listSegments(place.folder);
    expect(segments.length).toBeGreaterThan(5);
    expect(await verifyJournal(place.folder, place)).toMatchObject({ valid: true, records: 63, segments: segments.length });
    const newest = await all(queryJournal(segments, { filters: { action: 'net.' }, limit: 25 }));
    expect(newest.map(({ record }) => record.seq)).toEqual(Array.from({ length: 25 }, (_, index) => 38 + index));
    await writeSome(place);
    expect((await verifyJournal(place.folder, place)).valid).toBe(true);
    await rename(segments[2]?.path ?? '', join(place.folder, 'aside'));
    await expect(verifyJournal(place.folder, place)).rejects.toMatchObject({ code: 'JOURNAL_INVALID' });
  });

  test('gives the same verdict in threads and in blocks of any size', async () => {
    await using place = await journalFolder();
    const journal = await openJournal(place);
    await Promise.all(Array.from({ length: 3000 }, (_, index) => journal.append(entryOf(index))));
    await journal.close();
    const witness = await readWitness(place.witnessPath);
    const publicKey = await readPublicKey(publicKeyPath(place.folder));
    const segments = await listSegments(place.folder);
    const plain = await verifySegments(segments, { witness, publicKey, threads: 0 });
    expect(plain).toMatchObject({ valid: true, unsigned: 0 });
    expect(await verifySegments(segments, { witness, publicKey, threads: 2, blockBytes: 10_000 })).toEqual(plain);
    const bytes = await readFile(firstSegment(place));
    bytes[bytes.length - 100_000] = 0x41;
    await writeFile(firstSegment(place), bytes);
    const damaged = await verifySegments(segments, { witness, publicKey, threads: 0 });
    expect(damaged.valid).toBe(false);
    expect(await verifySegments(segments, { witness, publicKey, threads: 2, blockBytes: 10_000 })).toEqual(damaged);
  });

  test('flags a clock that was set back, and stays valid', async () => {
    await using place = await journalFolder();
    let wall = Date.UTC(2026, 4, 1);
    const journal = await openJournal({ ...place, clock: { nowMs: () => wall, monotonicMs: () => 0 } });
    wall -= 7_200_000;
    await journal.append(entryOf(1));
    await journal.close();
    expect((await recordsOf(place)).find(({ action }) => action === 'net.exchange')?.detail).toMatchObject({
      clockJumpMs: -7_200_000,
    });
    expect((await verifyJournal(place.folder, place)).valid).toBe(true);
  });

  test('states its head when the set time has passed', async () => {
    await using place = await journalFolder();
    const journal = await openJournal({ ...place, checkpointAfterMs: 20 });
    await journal.append(entryOf(1));
    await expect.poll(async () => (await readWitness(place.witnessPath))?.seq).toBe(4);
    await journal.close();
  });

  test('refuses entries that pretend to be its own', async () => {
    await using place = await journalFolder();
    const journal = await openJournal(place);
    await expect(journal.append({ ...entryOf(1), action: 'journal.checkpoint' })).rejects.toMatchObject({ code: 'INTERNAL' });
    await journal.close();
    await expect(journal.append(entryOf(1))).rejects.toMatchObject({ code: 'JOURNAL_UNWRITABLE' });
  });

  test('finds the ids a name has had', async () => {
    await using place = await journalFolder();
    const journal = await openJournal(place);
    await journal.append({ ...entryOf(1), action: 'sandbox.create', subject: 'work' });
    await journal.close();
    const segments = await listSegments(place.folder);
    expect([...(await sandboxIds(segments, 'work'))]).toEqual(['cm-0123456789abcdef']);
    expect([...(await sandboxIds(segments, 'other'))]).toEqual([]);
  });

  test('is followed across segments without a record lost or told twice', async () => {
    await using place = await journalFolder();
    const stop = new AbortController();
    const seen: number[] = [];
    const following = (async () => {
      for await (const { record } of followJournal(place.folder, {
        from: { index: 0, position: 0 },
        afterSeq: 0,
        signal: stop.signal,
        pollMs: 5,
      })) {
        seen.push(record.seq);
      }
    })();
    const journal = await openJournal({ ...place, maxSegmentBytes: 2048 });
    for (let index = 0; index < 40; index += 1) {
      await journal.append(entryOf(index));
    }
    await journal.close();
    await expect.poll(() => seen.length, { timeout: 20_000 }).toBe(43);
    stop.abort();
    await following;
    expect(seen).toEqual(Array.from({ length: 43 }, (_, index) => index + 1));
  });
});

describe('a second writer', () => {
  test('is refused in the same process and in another, and let in when the first has gone', async () => {
    await using place = await journalFolder();
    const journal = await openJournal(place);
    await expect(openJournal(place)).rejects.toMatchObject({
      code: 'JOURNAL_UNWRITABLE',
      message: expect.stringContaining('another process'),
    });
    const other = writer(place, 1);
    const [code] = await once(other, 'exit');
    expect(code).not.toBe(0);
    await journal.append(entryOf(1));
    await journal.close();
    await writeSome(place);
  });

  test('never gets in beside the first, though ten try at once', async () => {
    await using place = await journalFolder();
    const tries = await Promise.allSettled(Array.from({ length: 10 }, () => openJournal(place)));
    const won = tries.filter((attempt) => attempt.status === 'fulfilled');
    expect(won).toHaveLength(1);
    await Promise.all(won.map(({ value }) => value.close()));
  });
});

function writer(place: JournalFolder, appenders: number) {
  const program = join(import.meta.dirname, '../fixtures/journal-writer.ts');
  return spawn(process.execPath, [program, place.folder, place.witnessPath, String(appenders)], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
}

describe('a writer that is killed', () => {
  test('loses nothing it has promised, twenty times at any moment', async () => {
    await using place = await journalFolder();
    let promised = 0;
    for (let round = 0; round < 20; round += 1) {
      const child = writer(place, 8);
      let printed = '';
      child.stdout.on('data', (piece: Buffer) => {
        printed += piece.toString();
      });
      await once(child.stdout, 'data');
      await sleep((round * 13) % 70);
      child.kill('SIGKILL');
      await once(child, 'close');
      // The last line may have been cut by the kill; whole ones were promised.
      const whole = printed.slice(0, printed.lastIndexOf('\n')).split('\n').slice(1).map(Number);
      promised = Math.max(promised, ...whole);
      const journal = await openJournal(place);
      await journal.close();
      const verdict = await verifyJournal(place.folder, place);
      expect(verdict, `round ${round}`).toMatchObject({ valid: true, fault: undefined });
      expect(verdict.records).toBeGreaterThanOrEqual(promised);
    }
    expect(promised).toBeGreaterThan(20);
  }, 120_000);
});

describe('an unfinished last line', () => {
  test('is cut at the next opening, which says how many bytes', async () => {
    await using place = await journalFolder();
    await writeSome(place);
    await appendFile(firstSegment(place), '{"action":"net.exch');
    expect(await verifyJournal(place.folder, place)).toMatchObject({ valid: false, fault: { line: 9, tornBytes: 19 } });
    await writeSome(place);
    const healed = (await recordsOf(place)).find(({ action }) => action === 'journal.healed');
    expect(healed?.detail).toEqual({ bytes: 19 });
    expect((await verifyJournal(place.folder, place)).valid).toBe(true);
  });

  test('is not healed when the witness has seen more: then the tail was cut', async () => {
    await using place = await journalFolder();
    await writeSome(place);
    const { size } = await lstat(firstSegment(place));
    await truncate(firstSegment(place), size - 10);
    await expect(openJournal(place)).rejects.toMatchObject({
      code: 'JOURNAL_INVALID',
      message: expect.stringContaining('the tail was cut off'),
    });
    expect((await lstat(firstSegment(place))).size).toBe(size - 10);
  });
});

describe('damage anywhere else', () => {
  test.each([
    [
      'a changed byte',
      async (path: string) => {
        const file = await open(path, 'r+');
        await file.write('X', 300);
        await file.close();
      },
    ],
    [
      'bytes of zero at the end',
      async (path: string) => {
        await appendFile(path, Buffer.concat([Buffer.alloc(4096), Buffer.from('\n')]));
      },
    ],
    [
      'an emptied file',
      async (path: string) => {
        await truncate(path, 0);
      },
    ],
    [
      'a removed file',
      async (path: string) => {
        await rm(path);
      },
    ],
    [
      'a symbolic link',
      async (path: string) => {
        await rename(path, `${path}.real`);
        await symlink(`${path}.real`, path);
      },
    ],
  ])('stops the opening: %s', async (_, damage) => {
    await using place = await journalFolder();
    await writeSome(place);
    await damage(firstSegment(place));
    const before = await readdir(place.folder);
    await expect(openJournal(place)).rejects.toMatchObject({ code: 'JOURNAL_INVALID' });
    expect(await readdir(place.folder)).toEqual(before);
  });

  test('stops the opening: a key that is gone, or that others can read', async () => {
    await using place = await journalFolder();
    await writeSome(place);
    const key = join(place.folder, 'keys/signing.pem');
    await chmod(key, 0o644);
    await expect(openJournal(place)).rejects.toMatchObject({
      code: 'JOURNAL_INVALID',
      message: expect.stringContaining('read by others'),
    });
    await rm(key);
    await expect(openJournal(place)).rejects.toMatchObject({
      code: 'JOURNAL_INVALID',
      message: expect.stringContaining('is gone'),
    });
  });
});
