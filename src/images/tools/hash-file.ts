import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';

/** Hashing of files that may not fit into memory. */

const pieceBytes = 1024 * 1024;

/** The hash of a regular file, read in pieces; a symbolic link is not followed. */
export async function hashFile(path: string | Buffer, algorithm: 'sha256' | 'sha512'): Promise<Buffer> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const hash = createHash(algorithm);
    const { size } = await file.stat();
    // One more than the size, so that the end of a small file is seen with its first piece.
    const piece = Buffer.allocUnsafe(Math.min(pieceBytes, size + 1));
    for (;;) {
      // oxlint-disable-next-line no-await-in-loop -- one file, in order
      const { bytesRead } = await file.read(piece, 0, piece.length);
      hash.update(piece.subarray(0, bytesRead));
      if (bytesRead < piece.length) {
        return hash.digest();
      }
    }
  } finally {
    await file.close();
  }
}
