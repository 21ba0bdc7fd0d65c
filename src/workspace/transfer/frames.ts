import { createHash } from 'node:crypto';
import type { Readable, Writable } from 'node:stream';

import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import { untilWritable } from '../../system/until-writable.ts';
import { checkedName, type Entry, type TransferLimits } from './entries.ts';

/** The frames of `inside.pl`. Input from a sandbox is hostile: every length is bounded before it is used. */

/** Reads entries in turn; the content of one must be read before the next is asked for. Throws `PATH_INVALID`. */
export async function* readEntries(stream: Readable, limits: TransferLimits): AsyncGenerator<Entry> {
  const input = reader(stream);
  const accept = counted(limits);
  for (;;) {
    // oxlint-disable-next-line no-await-in-loop -- frames come one after the other
    const head = await input.line();
    if (head === 'E') {
      return;
    }
    // oxlint-disable-next-line no-await-in-loop -- as above
    const frame = await readFrame(input, head);
    accept(frame);
    yield frame.kind === 'folder' ? { kind: 'folder', path: frame.path } : fileOf(input, frame);
  }
}

/** All names are kept meanwhile: a thousand characters for each file are more than any real tree has. */
const nameBytesPerFile = 1024;

/**
 * Throws for what is beyond the limits. Each folder comes before what is in it, so that no name makes more than one: a
 * path of sixty folders would otherwise be sixty, and 40,000 of them millions.
 */
function counted(limits: TransferLimits): (frame: Frame) => void {
  const seen = new Map<string, Frame['kind']>();
  let [files, bytes, nameBytes] = [0, 0, 0];
  return ({ kind, path, size }) => {
    const parent = path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : '';
    if (seen.has(path) || seen.size >= 4 * limits.files) {
      throw damaged('a name twice, or too many of them');
    }
    if (path !== '' && seen.get(parent) !== 'folder') {
      throw damaged('something in a folder that has not come');
    }
    seen.set(path, kind);
    files += kind === 'file' ? 1 : 0;
    bytes += size;
    nameBytes += path.length;
    if (files > limits.files || bytes > limits.bytes || nameBytes > limits.files * nameBytesPerFile) {
      throw tooMuch(limits);
    }
  };
}

interface Frame {
  readonly kind: 'folder' | 'file';
  readonly path: string;
  readonly executable: boolean;
  readonly size: number;
}

async function readFrame(input: Reader, head: string): Promise<Frame> {
  const [, reason] = /^R (\d{1,5})$/.exec(head) ?? [];
  if (reason !== undefined) {
    throw new CasemateError('PATH_INVALID', `in the sandbox: ${visible((await input.exactly(Number(reason))).toString('utf8'))}`);
  }
  const [, kind, mode = '', size = '', length = ''] = /^([DF]) ([0-7]{1,4}) (\d{1,15}) (\d{1,5})$/.exec(head) ?? [];
  if (kind === undefined) {
    throw damaged('a frame that cannot be read');
  }
  const path = checkedName(await input.exactly(Number(length)));
  const executable = (Number.parseInt(mode, 8) & 0o100) !== 0;
  return { kind: kind === 'D' ? 'folder' : 'file', path, executable, size: Number(size) };
}

function fileOf(input: Reader, { path, executable, size }: Frame): Entry {
  let stated: string | undefined;
  async function* content(): AsyncGenerator<Buffer> {
    let left = size;
    while (left > 0) {
      // oxlint-disable-next-line no-await-in-loop -- one piece after the other
      const piece = await input.some(left);
      left -= piece.length;
      yield piece;
    }
    stated = await input.line();
  }
  return {
    kind: 'file',
    path,
    executable,
    size,
    content: content(),
    sha256: async () => {
      if (stated === undefined || !/^[0-9a-f]{64}$/.test(stated)) {
        throw damaged('a file without its hash');
      }
      return stated;
    },
  };
}

/** Writes entries with back-pressure, then the end. Resolves to the hashes of the files, in order. */
export async function writeEntries(stream: Writable, entries: AsyncIterable<Entry>): Promise<readonly string[]> {
  const hashes: string[] = [];
  const send = async (bytes: Buffer | string): Promise<void> => {
    if (!stream.write(bytes)) {
      await untilWritable(stream);
    }
    if (stream.destroyed) {
      throw Object.assign(new Error('the other end has gone'), { code: 'EPIPE' });
    }
  };
  for await (const entry of entries) {
    const name = Buffer.from(entry.path, 'utf8');
    if (entry.kind === 'folder') {
      await send(`D 755 0 ${name.length}\n`);
      await send(name);
    } else {
      await send(`F ${entry.executable ? '755' : '644'} ${entry.size} ${name.length}\n`);
      await send(name);
      const hash = createHash('sha256');
      for await (const piece of entry.content) {
        hash.update(piece);
        await send(piece);
      }
      const sha256 = hash.digest('hex');
      hashes.push(sha256);
      await send(`${sha256}\n`);
    }
  }
  stream.end('E\n');
  return hashes;
}

export interface Taken {
  /** of each file as it lies on the disk inside, in order */
  readonly hashes: readonly string[];
  /** It went into the folder that was named, not to its place. */
  readonly isInFolder: boolean;
}

/** What `put` answers. */
export async function readTaken(stream: Readable, limits: TransferLimits): Promise<Taken> {
  const input = reader(stream);
  const hashes: string[] = [];
  let isInFolder = false;
  for (;;) {
    // oxlint-disable-next-line no-await-in-loop -- one line after the other
    const head = await input.line();
    const [, hash] = /^H ([0-9a-f]{64})$/.exec(head) ?? [];
    if (head === 'E') {
      return { hashes, isInFolder };
    }
    if (head === 'I' && hashes.length === 0 && !isInFolder) {
      isInFolder = true;
      continue;
    }
    if (hash === undefined || hashes.length >= limits.files) {
      // oxlint-disable-next-line no-await-in-loop -- throws
      await readFrame(input, head);
      throw damaged('an answer that cannot be read');
    }
    hashes.push(hash);
  }
}

interface Reader {
  /** without its line feed */
  readonly line: () => Promise<string>;
  readonly exactly: (count: number) => Promise<Buffer>;
  /** at least one byte, `most` at most */
  readonly some: (most: number) => Promise<Buffer>;
}

const maxLine = 128;

function reader(stream: Readable): Reader {
  const pieces: AsyncIterator<Buffer> = stream[Symbol.asyncIterator]();
  let held: Buffer = Buffer.alloc(0);
  const more = async (): Promise<void> => {
    const next = await pieces.next();
    if (next.done === true) {
      throw damaged('it ended too early');
    }
    held = held.length === 0 ? next.value : Buffer.concat([held, next.value]);
  };
  const cut = (count: number): Buffer => {
    const taken = held.subarray(0, count);
    held = held.subarray(count);
    return taken;
  };
  return {
    async line() {
      for (;;) {
        const end = held.indexOf(10);
        if (end >= 0 && end <= maxLine) {
          return cut(end + 1).toString('latin1', 0, end);
        }
        if (held.length > maxLine) {
          throw damaged('a frame that cannot be read');
        }
        // oxlint-disable-next-line no-await-in-loop -- bytes come one after the other
        await more();
      }
    },
    async exactly(count) {
      while (held.length < count) {
        // oxlint-disable-next-line no-await-in-loop -- as above
        await more();
      }
      return cut(count);
    },
    async some(most) {
      if (held.length === 0) {
        await more();
      }
      return cut(most);
    },
  };
}

function damaged(what: string): CasemateError {
  return new CasemateError('PATH_INVALID', `what came out of the sandbox is no transfer of ours: ${what}`);
}

export function tooMuch({ files, bytes }: TransferLimits): CasemateError {
  return new CasemateError('PATH_INVALID', `a transfer may hold ${files} files and ${bytes} bytes at most`, {
    hint: 'Transfer less at a time.',
  });
}
