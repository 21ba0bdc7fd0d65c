import { webcrypto } from 'node:crypto';

import type { Clock } from '../../system/clock.ts';
import type { Authority } from '../gateway.ts';
import { createAuthority } from './authority.ts';

/**
 * The certificate authorities of sandboxes to come. A start would wait some milliseconds of processor time for its own, so one
 * is made ahead: a moment after the last was taken, so that it does not work against that start. Until it is taken it is
 * nobody's, and its key is in this process's memory and in no file.
 */
export interface Authorities {
  /** One that nobody else gets. */
  readonly take: () => Promise<Authority>;
}

export interface AuthoritiesOptions {
  readonly clock: Pick<Clock, 'nowMs'>;
  /** from one that is taken until the next is made */
  readonly refillMs?: number | undefined;
  readonly make?: ((nowMs: number) => Promise<Authority>) | undefined;
}

interface Waiting {
  readonly authority: Authority;
  readonly madeMs: number;
}

/** Its certificate says when it was made; one of long ago, or of another time of the clock, is of no use. */
const freshMs = 3_600_000;

export function createAuthorities({ clock, refillMs = 300, make = makeOne }: AuthoritiesOptions): Authorities {
  let waiting: Waiting | undefined;
  let soon: NodeJS.Timeout | undefined;
  const refill = async (): Promise<void> => {
    const madeMs = clock.nowMs();
    waiting = { authority: await make(madeMs), madeMs };
  };
  return {
    async take() {
      const next = waiting;
      waiting = undefined;
      clearTimeout(soon);
      // Whoever asks next does without where this fails.
      soon = setTimeout(() => void refill().catch(() => undefined), refillMs).unref();
      const nowMs = clock.nowMs();
      return next !== undefined && Math.abs(nowMs - next.madeMs) < freshMs ? next.authority : await make(nowMs);
    },
  };
}

/** It has no name of a sandbox, for whose it will be is not known yet; its number keeps it apart from others. */
function makeOne(nowMs: number): Promise<Authority> {
  const number = Buffer.from(webcrypto.getRandomValues(new Uint8Array(8))).toString('hex');
  return createAuthority({ name: `sandbox ${number}`, nowMs });
}
