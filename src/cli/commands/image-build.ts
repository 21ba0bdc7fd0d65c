import { buildDeps } from '../../images/build-deps.ts';
import type { StoredImage } from '../../images/stored/open-image.ts';
import type { RunCommand } from '../command.ts';
import { stepProgress } from '../printing/step-progress.ts';
import { printJson } from '../printing/output.ts';
import { optionalPositionals, parseOptions, switchOption } from '../reading/parse-options.ts';

/** `casemate image build`: steps on standard error, the digest on standard output. */
export const run: RunCommand = async (args, context, row) => {
  const parsed = parseOptions(row, args);
  const [recipe = 'base'] = optionalPositionals(parsed, ['RECIPE']);
  const { paths, env, uid, cwd, stderr, stdout } = context;
  const [{ buildImage }, { findRecipe }] = await Promise.all([
    import('../../images/build.ts'),
    import('../../images/recipes/find-recipe.ts'),
  ]);
  const progress = stepProgress(context);
  const interrupted = new AbortController();
  const stop = (): void => interrupted.abort(new Error('interrupted'));
  process.once('SIGINT', stop);
  try {
    const deps = buildDeps({ paths, env, uid, progress: progress.line, signal: interrupted.signal });
    const options = { locked: switchOption(parsed, 'locked'), noCache: switchOption(parsed, 'no-cache') };
    const image = await buildImage(await findRecipe(recipe, deps.target, cwd), deps, options);
    progress.stop();
    if (switchOption(parsed, 'json')) {
      printJson(stdout, builtView(image));
    } else {
      stdout.write(`${image.recipe} ${image.digest}\n`);
    }
    return 0;
  } catch (error) {
    if (interrupted.signal.aborted) {
      stderr.write('\ncasemate: interrupted; nothing was stored\n');
      return 130;
    }
    throw error;
  } finally {
    progress.stop();
    process.off('SIGINT', stop);
  }
};

function builtView({ recipe, digest, createdAt, bytes, lockDigest, rootfs }: StoredImage): Record<string, unknown> {
  return { recipe, digest, createdAt, bytes, lockDigest, rootfs };
}
