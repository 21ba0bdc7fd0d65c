import { formatBytes } from '../../base/units.ts';
import { allDebs, allNpm, allPython, type Lock } from '../../images/stored/lock.ts';
import type { StoredImage } from '../../images/stored/open-image.ts';
import { imageStore } from '../../images/stored/store.ts';
import type { RunCommand } from '../command.ts';
import { facts, printJson } from '../printing/output.ts';
import { parseOptions, requiredPositionals, switchOption } from '../reading/parse-options.ts';

/** `casemate image show NAME`: what it is made of. `--json` has the whole lock and the bill of materials. */
export const run: RunCommand = async (args, { paths, stdout }, row) => {
  const parsed = parseOptions(row, args);
  const [name = ''] = requiredPositionals(parsed, ['NAME']);
  const store = imageStore({ folder: paths.images });
  const image = await store.need(name);
  const [lock, bom] = await Promise.all([store.lockOf(image), store.bomOf(image)]);
  if (switchOption(parsed, 'json')) {
    const { recipe, digest, createdAt, bytes, lockDigest, current, rootfs, chain } = image;
    printJson(stdout, { recipe, digest, createdAt, bytes, lockDigest, current, rootfs, recipes: chain, lock, bom });
  } else {
    stdout.write(facts(rowsOf(image, lock)));
  }
  return 0;
};

function rowsOf(image: StoredImage, lock: Lock): readonly (readonly [string, string])[] {
  const debs = allDebs(lock);
  return [
    ['recipe', image.chain.map((recipe) => recipe.name).join(' + ')],
    ['state', image.current ? 'current' : 'the recipe has changed since; build again'],
    ['digest', image.digest],
    ['lock', image.lockDigest],
    ['built', image.createdAt],
    ['size', formatBytes(image.bytes)],
    ['root', image.rootfs],
    ['debian', `${lock.suite}, ${debs.length} packages (${formatBytes(debs.reduce((sum, deb) => sum + deb.size, 0))})`],
    ...allNpm(lock).map(({ name, version }) => ['npm', `${name} ${version}`] as const),
    ...allPython(lock).map(({ name, version }) => ['python', `${name} ${version}`] as const),
    ['materials', `${debs.length + allNpm(lock).length + allPython(lock).length} components (CycloneDX 1.6, in --json)`],
  ];
}
