import { appendFile, cp, mkdir, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import { openJournal } from '../../src/journal/open-journal.ts';
import { verifyJournal } from '../../src/journal/verify-journal.ts';
import { run } from '../../src/system/process.ts';
import { firstSegment, recordsOf, writeSome } from '../helpers/journal-contents.ts';
import { journalFolder, type JournalFolder } from '../helpers/journal-folder.ts';
import { entryOf } from '../helpers/journal-log.ts';

describe('a journal that cannot be written', () => {
  const mounts = process.getuid?.() === 0;
  const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' };

  async function onSmallDisk(work: (place: JournalFolder) => Promise<void>): Promise<void> {
    await using outer = await journalFolder();
    await using place = await journalFolder(outer.root);
    await mkdir(join(place.root, 'state'), { recursive: true });
    const mounted = await run('mount', ['-t', 'tmpfs', '-o', 'size=256k,mode=0700', 'none', join(place.root, 'state')], { env });
    expect(mounted.exitCode, mounted.stderr.toString()).toBe(0);
    try {
      await work(place);
    } finally {
      await run('umount', ['-l', join(place.root, 'state')], { env });
    }
  }

  test.skipIf(!mounts)(
    '(needs root to mount) says so on a full disk, records nothing, and goes on when there is room',
    async () => {
      await onSmallDisk(async (place) => {
        const journal = await openJournal(place);
        await writeFile(join(place.root, 'state/ballast'), Buffer.alloc(64 * 1024));
        let kept = 0;
        const failure = await (async () => {
          for (;;) {
            await journal.append({ ...entryOf(kept), subject: 'x'.repeat(1500) });
            kept += 1;
          }
        })().catch((error: unknown) => error);
        expect(failure).toMatchObject({ code: 'JOURNAL_UNWRITABLE', message: expect.stringContaining('ENOSPC') });
        await expect(journal.append({ ...entryOf(0), subject: 'y'.repeat(1500) })).rejects.toMatchObject({
          code: 'JOURNAL_UNWRITABLE',
        });
        await rm(join(place.root, 'state/ballast'));
        await journal.append(entryOf(1));
        await journal.close();
        expect((await recordsOf(place)).filter(({ action }) => action === 'net.exchange')).toHaveLength(kept + 1);
        expect((await verifyJournal(place.folder, place)).valid).toBe(true);
      });
    },
  );

  test.skipIf(!mounts)('(needs root to mount) is refused on a read-only file system', async () => {
    await onSmallDisk(async (place) => {
      await writeSome(place);
      await run('mount', ['-o', 'remount,ro', join(place.root, 'state')], { env });
      await expect(openJournal(place)).rejects.toMatchObject({ code: 'JOURNAL_UNWRITABLE' });
    });
  });

  test('refuses for ever when a failed write cannot be made undone', async () => {
    await using place = await journalFolder();
    let failing = false;
    const journal = await openJournal({
      ...place,
      sync: async (file) => {
        if (failing) {
          throw Object.assign(new Error('EIO'), { code: 'EIO' });
        }
        await file.datasync();
      },
    });
    failing = true;
    await expect(journal.append(entryOf(1))).rejects.toMatchObject({
      code: 'JOURNAL_UNWRITABLE',
      message: expect.stringContaining('EIO'),
    });
    failing = false;
    await expect(journal.append(entryOf(2))).rejects.toMatchObject({ code: 'JOURNAL_UNWRITABLE' });
    await journal.close();
    await writeSome(place);
    expect((await verifyJournal(place.folder, place)).valid).toBe(true);
  });

  test.each([
    ['cut', (path: string) => truncate(path, 100)],
    ['added to', (path: string) => appendFile(path, 'x\n')],
    ['deleted', (path: string) => rm(path)],
  ])('takes no more when its file is %s by somebody else', async (_, change) => {
    await using place = await journalFolder();
    const journal = await openJournal(place);
    await change(firstSegment(place));
    await expect(journal.append(entryOf(1))).rejects.toMatchObject({ code: 'JOURNAL_UNWRITABLE' });
    await journal.close().catch(() => undefined);
  });

  test('takes no more while the witness cannot be written, and goes on when it can', async () => {
    await using place = await journalFolder();
    const journal = await openJournal(place);
    const config = join(place.root, 'config');
    await rename(config, `${config}.away`);
    await journal.append(entryOf(1));
    await expect(journal.checkpoint()).rejects.toMatchObject({ code: 'JOURNAL_UNWRITABLE' });
    await expect(journal.append(entryOf(2))).rejects.toMatchObject({ code: 'JOURNAL_UNWRITABLE' });
    await rename(`${config}.away`, config);
    // The very next one, not the one after it.
    await expect(journal.append(entryOf(3))).resolves.toMatchObject({ action: entryOf(3).action });
    await journal.close();
    expect((await verifyJournal(place.folder, place)).valid).toBe(true);
  });

  test('is refused in a folder that others can enter, or that is a file', async () => {
    await using place = await journalFolder();
    await mkdir(place.folder, { recursive: true, mode: 0o755 });
    await expect(openJournal(place)).rejects.toMatchObject({ code: 'PATH_INVALID' });
    await rm(place.folder, { recursive: true });
    await writeFile(place.folder, '');
    await expect(openJournal(place)).rejects.toMatchObject({ code: 'JOURNAL_UNWRITABLE' });
  });

  test('is not copied with its lock: a copy can be opened beside it', async () => {
    await using place = await journalFolder();
    await using other = await journalFolder();
    const journal = await openJournal(place);
    await cp(place.root, other.root, { recursive: true });
    const copy = await openJournal(other);
    await copy.close();
    await journal.close();
  });
});
