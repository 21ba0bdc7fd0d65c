import { CasemateError, isCasemateError, toCasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import { formatBytes } from '../../base/units.ts';
import type { Client } from '../../daemon/client.ts';
import { removeImageCopies } from '../../engines/registry.ts';
import { buildDeps } from '../../images/build-deps.ts';
import type { ImageRecord } from '../../images/image.ts';
import { removable, removeImage } from '../../images/remove-image.ts';
import type { DamagedImage, StoredImage } from '../../images/stored/open-image.ts';
import { imageStore } from '../../images/stored/store.ts';
import type { CommandContext, RunCommand } from '../command.ts';
import { connectDaemon } from '../session/connect.ts';
import { printJson } from '../printing/output.ts';
import { parseOptions, requiredPositionals, switchOption, textOption } from '../reading/parse-options.ts';

/** `casemate image rm NAME --confirm NAME`. */
export const run: RunCommand = async (args, context, row) => {
  const parsed = parseOptions(row, args);
  const [name = ''] = requiredPositionals(parsed, ['NAME']);
  const { paths, env, uid, stdout, stderr } = context;
  const found = await removable(imageStore({ folder: paths.images }), name);
  const confirmed = textOption(parsed, 'confirm');
  if (confirmed !== name) {
    throw new CasemateError('CONFIRMATION_MISSING', `nothing was removed: ${visible(name)} is ${shown(found)}`, {
      hint: `Run: casemate image rm ${visible(name)} --confirm ${visible(name)}`,
    });
  }
  const progress = (line: string): void => void stderr.write(`${visible(line)}\n`);
  const image = await removeImage(name, buildDeps({ paths, env, uid, progress }), (candidate) => sandboxesOf(candidate, context));
  const copies = await removeImageCopies({ paths, env, uid }, image.digest).catch((error: unknown) => [
    `a copy of it in another engine may stay: ${toCasemateError(error).message}`,
  ]);
  copies.forEach(progress);
  if (switchOption(parsed, 'json')) {
    printJson(stdout, { removed: { recipe: image.recipe, digest: image.digest } });
  } else {
    stdout.write(`removed ${visible(name)}: ${shown(image)}; its lock stays\n`);
  }
  return 0;
};

function shown(image: StoredImage | DamagedImage): string {
  return `${image.recipe ?? 'an image'} ${image.digest.slice(0, 19)}, ${'bytes' in image ? formatBytes(image.bytes) : image.fault}`;
}

/** The daemon knows the sandboxes; it is started for the question, because a stopped sandbox needs its image, too. */
async function sandboxesOf(image: Pick<ImageRecord, 'digest'>, context: CommandContext): Promise<readonly string[]> {
  const client = await connectDaemon(context);
  try {
    const views = await client.call('ls', {});
    const digests = await Promise.all(views.map((view) => digestOf(client, view.name)));
    return views.filter((_, index) => digests[index] === image.digest).map((view) => view.name);
  } finally {
    client.close();
  }
}

async function digestOf(client: Client, name: string): Promise<string | undefined> {
  try {
    return (await client.call('inspect', { name })).plan.image.digest;
  } catch (error) {
    // Removed since it was listed.
    if (isCasemateError(error) && error.code === 'SANDBOX_NOT_FOUND') {
      return undefined;
    }
    throw error;
  }
}
