import { visible } from '../../base/text.ts';
import type { DockerOffer } from '../policy.ts';
import type { Origin } from '../origin.ts';
import { faultAt, originOf, type PolicyLayer } from '../written/policy-layer.ts';
import { byDefault, filesOf, type PolicyLayers } from './resolve-scalars.ts';
import { widens } from './widening.ts';

/**
 * What all layers together offer of Docker inside a sandbox. A layer may remove what a higher one wrote, and never add to it.
 */

export interface ResolvedDocker {
  readonly offer: DockerOffer;
  readonly origins: Readonly<Record<string, Origin>>;
}

interface Held<T> {
  readonly value: T;
  readonly origin: Origin;
}

/** `undefined`: nothing is offered. Throws `POLICY_WIDENS`, and `POLICY_INVALID` for building without running. */
export function resolveDocker(layers: PolicyLayers): ResolvedDocker | undefined {
  const files = filesOf(layers);
  const run = allowed(files, 'run');
  const build = allowed(files, 'build');
  const images = offeredImages(files);
  if (build.value && !run.value) {
    throw faultAt('POLICY_INVALID', build.origin, 'docker.build needs docker.run: the steps of a build are containers', {
      hint: 'Write "run: true" beside it, or leave "build" out.',
    });
  }
  return run.value
    ? {
        offer: { run: true, build: build.value, images: images.value },
        origins: { 'docker.run': run.origin, 'docker.build': build.origin, 'docker.images': images.origin },
      }
    : undefined;
}

function allowed(files: readonly PolicyLayer[], key: 'run' | 'build'): Held<boolean> {
  let held: Held<boolean> | undefined;
  for (const layer of files) {
    const value = layer.written.docker?.[key];
    if (value !== undefined) {
      const origin = originOf(layer, ['docker', key]);
      if (value && held?.value === false) {
        throw widens(origin, held.origin, `docker.${key} true is more than the false that`);
      }
      held = value === held?.value ? held : { value, origin };
    }
  }
  return held ?? { value: false, origin: byDefault };
}

function offeredImages(files: readonly PolicyLayer[]): Held<readonly string[]> {
  let held: Held<readonly string[]> | undefined;
  for (const layer of files) {
    const written = layer.written.docker?.images?.map(withTag);
    if (written !== undefined) {
      const above = held;
      const extra = written.findIndex((image) => above?.value.includes(image) === false);
      if (above !== undefined && extra >= 0) {
        const origin = originOf(layer, ['docker', 'images', extra]);
        throw widens(origin, above.origin, `the image ${visible(written[extra] ?? '')} is more than`);
      }
      held = { value: [...new Set(written)].toSorted(), origin: originOf(layer, ['docker', 'images']) };
    }
  }
  return held ?? { value: [], origin: byDefault };
}

function withTag(image: string): string {
  return image.includes(':') ? image : `${image}:latest`;
}
