import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';

/** What is transferred between host and sandbox: files and folders, each with a relative name. */
export type Entry =
  | { readonly kind: 'folder'; readonly path: string }
  | {
      readonly kind: 'file';
      readonly path: string;
      readonly executable: boolean;
      readonly size: number;
      /** exactly `size` bytes, to be read once and to the end */
      readonly content: AsyncIterable<Buffer>;
      /** SHA-256 of what `content` gave, hex, by the sender; asked after it was read */
      readonly sha256: () => Promise<string>;
    };

export interface TransferLimits {
  readonly files: number;
  readonly bytes: number;
}

export const transferLimits: TransferLimits = { files: 10_000, bytes: 1024 ** 3 };

const maxDepth = 64;

/**
 * A name of an entry, relative to what is sent; empty for that itself. Names come from a sandbox, so what could lead
 * anywhere else, or drive a terminal, is refused. Throws `PATH_INVALID`.
 */
export function checkedName(bytes: Buffer): string {
  const name = bytes.toString('utf8');
  const parts = name === '' ? [] : name.split('/');
  const isPlain = Buffer.from(name, 'utf8').equals(bytes) && visible(name) === name && parts.length <= maxDepth;
  if (!isPlain || parts.some((part) => part === '' || part === '.' || part === '..' || Buffer.byteLength(part) > 255)) {
    throw new CasemateError('PATH_INVALID', `a file has a name that cannot be taken: ${visible(name).slice(0, 200)}`, {
      hint: 'Give it another name inside, or transfer what is beside it.',
    });
  }
  return name;
}
