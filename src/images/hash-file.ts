/** Hashing of files that do not fit into memory at once. */
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';

const pieceBytes = 1024 * 1024;

/** The hash of a regular file, read in pieces; a symbolic link is not followed. */
export async function hashFile(path: string | Buffer, algorithm: 'sha256' | 'sha512'): Promise<Buffer> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const hash = createHash(algorithm);
    const piece = Buffer.allocUnsafe(pieceBytes);
    for (;;) {
      // oxlint-disable-next-line no-await-in-loop -- one file, in order
      const { bytesRead } = await file.read(piece, 0, pieceBytes);
      if (bytesRead === 0) {
        return hash.digest();
      }
      hash.update(piece.subarray(0, bytesRead));
    }
  } finally {
    await file.close();
  }
}
