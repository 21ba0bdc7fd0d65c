import { formatBytes } from '../../base/units.ts';
import { imageStore } from '../../images/stored/store.ts';
import type { RunCommand } from '../command.ts';
import { ago, printJson, table } from '../printing/output.ts';
import { optionalPositionals, parseOptions, switchOption } from '../reading/parse-options.ts';

/** `casemate image ls`: newest first. An image whose recipe has changed since is marked, because nothing starts from it. */
export const run: RunCommand = async (args, { paths, stdout }, row) => {
  const parsed = parseOptions(row, args);
  optionalPositionals(parsed, []);
  const store = imageStore({ folder: paths.images });
  const [images, damaged] = await Promise.all([store.list(), store.damaged()]);
  if (switchOption(parsed, 'json')) {
    const rows = images.map(({ recipe, digest, createdAt, bytes, lockDigest, current, rootfs }) => ({
      recipe,
      digest,
      createdAt,
      bytes,
      lockDigest,
      current,
      rootfs,
    }));
    printJson(stdout, [...rows, ...damaged]);
    return 0;
  }
  if (images.length + damaged.length === 0) {
    stdout.write('no images; casemate image build makes one\n');
    return 0;
  }
  const nowMs = Date.now();
  const rows = images.map((image) => [
    image.recipe,
    image.digest.slice('sha256:'.length, 'sha256:'.length + 12),
    formatBytes(image.bytes),
    ago(image.createdAt, nowMs),
    image.current ? 'current' : 'recipe changed',
  ]);
  const broken = damaged.map(({ recipe = '-', digest, fault }) => [
    recipe,
    digest.slice('sha256:'.length, 'sha256:'.length + 12),
    '-',
    '-',
    `damaged: ${fault}`,
  ]);
  stdout.write(table(['RECIPE', 'DIGEST', 'SIZE', 'AGE', 'STATE'], [...rows, ...broken]));
  return 0;
};
