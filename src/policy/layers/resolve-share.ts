import { formatBytes } from '../../base/units.ts';
import type { Origin } from '../origin.ts';
import type { Share } from '../share.ts';
import type { WrittenPolicy } from '../written/schema.ts';
import { byDefault, resolveScalar, type PolicyLayers, type Scalar } from './resolve-scalars.ts';

/** What all sandboxes together may use, by organisation and user. The user may only lower what the organisation says. */

type Key = keyof NonNullable<WrittenPolicy['share']>;

/** Throws `POLICY_WIDENS`. */
export function resolveShare({ organisation, user }: PolicyLayers): Share {
  const origins: Record<string, Origin> = {};
  function pick<T>(key: Key, fallback: T, show: (value: number) => string = String): number | T {
    const held = resolveScalar(amount(key, show), { organisation, user });
    origins[`share.${key}`] = held?.origin ?? byDefault;
    return held?.value ?? fallback;
  }
  return {
    ready: pick('ready', 2),
    running: pick('running', undefined),
    memoryBytes: pick('memory', undefined, formatBytes),
    cpus: pick('cpus', undefined),
    pids: pick('pids', undefined),
    callers: pick('callers', 30),
    eachCaller: pick('eachCaller', 10),
    origins,
  };
}

function amount(key: Key, show: (value: number) => string): Scalar<number> {
  return {
    path: ['share', key],
    read: ({ written }) => written.share?.[key],
    isLooser: (lower, higher) => lower > higher,
    show,
  };
}
