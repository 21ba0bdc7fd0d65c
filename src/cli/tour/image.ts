import { buildDeps } from '../../images/build-deps.ts';
import { ensureImage } from '../../images/ensure-image.ts';
import { visible } from '../../base/text.ts';
import type { CommandContext } from '../command.ts';

/** The agent's image: built on the first tour, with progress, and found on the next. */
export async function ensureTourImage({ paths, env, uid, stderr }: CommandContext): Promise<void> {
  const progress = (text: string): void => void stderr.write(`${visible(text)}\n`);
  await ensureImage('claude', buildDeps({ paths, env, uid, progress }));
}
