import { open, type FileHandle } from 'node:fs/promises';

/**
 * The first `bytes` of a file that is held, as a new file of ours. One that grows while it is read is cut where it ended when
 * it was looked at, as it is read: a copy that is cut afterwards has filled the disk by then. Throws `EEXIST` where anything is.
 */
export async function copyBounded(file: FileHandle, to: string, bytes: number): Promise<void> {
  const copy = await open(to, 'wx', 0o600);
  try {
    const buffer = Buffer.allocUnsafe(Math.min(bytes, 256 * 1024));
    for (let at = 0; at < bytes;) {
      // oxlint-disable-next-line no-await-in-loop -- one piece after the other
      const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, bytes - at), at);
      if (bytesRead === 0) {
        return;
      }
      // oxlint-disable-next-line no-await-in-loop -- as above
      await copy.writeFile(buffer.subarray(0, bytesRead));
      at += bytesRead;
    }
  } finally {
    await copy.close();
  }
}
