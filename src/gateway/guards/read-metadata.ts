import { gather } from '../../base/gather.ts';
import { refuse, type Refusal } from '../refusal.ts';
import type { UpstreamAnswer } from '../upstream/upstream-request.ts';
import type { Keeping } from './package-keeping.ts';

/** Metadata is held as a whole, so that nothing of it is handed on before it was read. */
export const greatestMetadataBytes = 128 * 1024 * 1024;
const greatestHeldBytes = 256 * 1024 * 1024;

/** The whole body of an answer. What is returned counts as held until the caller takes it off. */
export async function readMetadata({ body, isWhole }: UpstreamAnswer, keeping: Keeping): Promise<Buffer | Refusal> {
  const parts = gather();
  let length = 0;
  try {
    for await (const piece of body as AsyncIterable<Buffer>) {
      parts.add(piece);
      length += piece.length;
      keeping.heldBytes += piece.length;
      if (length > greatestMetadataBytes || keeping.heldBytes > greatestHeldBytes) {
        keeping.heldBytes -= length;
        body.destroy();
        return length > greatestMetadataBytes
          ? refuse(
              'bad-answer',
              `the metadata is larger than ${greatestMetadataBytes / 1024 ** 2} MiB, so it cannot be read as a whole`,
            )
          : refuse('too-busy', 'too much metadata of packages is read at the same time');
      }
    }
  } catch {
    keeping.heldBytes -= length;
    return refuse('bad-answer', 'the metadata broke off');
  }
  if (!isWhole()) {
    keeping.heldBytes -= length;
    return refuse('bad-answer', 'the metadata broke off');
  }
  return parts.take();
}

/** For what is asked besides; `undefined` unless it is there as a whole. It counts as held until the caller takes it off. */
export async function wholeBody(answer: UpstreamAnswer, keeping: Keeping): Promise<Buffer | undefined> {
  const document = answer.status === 200 ? await readMetadata(answer, keeping) : undefined;
  if (!Buffer.isBuffer(document)) {
    answer.body.destroy();
    return undefined;
  }
  return document;
}
