import { privateFolder } from '../../system/files.ts';
import { buildDeps } from '../../images/build-deps.ts';
import { ensureImage } from '../../images/ensure-image.ts';
import type { RunCommand } from '../command.ts';
import { printJson } from '../printing/output.ts';
import { stepProgress } from '../printing/step-progress.ts';
import { listOption, optionalPositionals, parseOptions, switchOption } from '../reading/parse-options.ts';

/** `casemate setup`: makes folders and images; what exists already is left as it is. */
export const run: RunCommand = async (args, context, row) => {
  const parsed = parseOptions(row, args);
  optionalPositionals(parsed, []);
  const given = listOption(parsed, 'image');
  const { paths, env, uid } = context;
  await Promise.all([paths.state, paths.config, paths.runtime].map(privateFolder));
  const images = [];
  const progress = stepProgress(context);
  try {
    for (const recipe of given.length === 0 ? ['base'] : given) {
      // oxlint-disable-next-line no-await-in-loop -- the second is made from the first
      images.push(await ensureImage(recipe, buildDeps({ paths, env, uid, progress: progress.line })));
    }
  } finally {
    progress.stop();
  }
  if (switchOption(parsed, 'json')) {
    printJson(context.stdout, { images: images.map(({ recipe, digest }) => ({ recipe, digest })) });
  } else {
    context.stdout.write(images.map(({ recipe, digest }) => `image ${recipe} ${digest}\n`).join(''));
    context.stdout.write('ready; casemate doctor shows what this host protects\n');
  }
  return 0;
};
