import type { DockerContext } from '../context.ts';
import type { EngineKernel } from './engine-kernel.ts';
import { observedKernel } from './observed-kernel.ts';
import { observer } from './observer.ts';
import { ownKernel } from './own-kernel.ts';

/** The kernel that an engine's containers run on. An ordinary user can reach root's containers only through the engine. */
export async function kernelOf(context: DockerContext): Promise<EngineKernel> {
  const { kernelPlace: place, machine, options } = context;
  if (await isObserved(context)) {
    place.observer ??= observer(context);
    place.observed ??= observedKernel(place.observer);
    return place.observed;
  }
  place.own ??= ownKernel({ machine, env: options.env });
  return place.own;
}

export async function isObserved({ way, facts, options }: DockerContext): Promise<boolean> {
  const [{ isElsewhere }, { userNamespace }] = await Promise.all([way(), facts()]);
  return isElsewhere || (options.uid !== 0 && !userNamespace);
}

/** Of what belongs to the kernel's place, not of any sandbox. */
export async function closeKernel({ kernelPlace: { observer: observing, signals } }: DockerContext): Promise<void> {
  await Promise.all([observing?.close(), signals?.then((one) => one.close())]);
}
