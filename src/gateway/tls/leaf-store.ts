import { createSecureContext, type SecureContext } from 'node:tls';

import type { Clock } from '../../system/clock.ts';
import type { LeafSigner } from './authority.ts';
import type { Authority } from '../gateway.ts';
import { createRate } from '../rate.ts';

/** Certificates of one sandbox's authority, made for each host at first use. Their number and rate are bounded. */
export interface LeafStore {
  /** `undefined`: too many new hosts in a short time. */
  readonly contextFor: (host: string) => Promise<SecureContext | undefined>;
}

export interface LeafStoreOptions {
  readonly authority: Authority;
  readonly clock: Clock;
  readonly perSecond: number;
  readonly kept: number;
}

export function createLeafStore({ authority, clock, perSecond, kept }: LeafStoreOptions): LeafStore {
  const contexts = new Map<string, Promise<SecureContext>>();
  const rate = createRate(perSecond, clock);
  let signer: Promise<LeafSigner> | undefined;
  const make = async (host: string): Promise<SecureContext> => {
    // Loaded here: a sandbox that opens no TLS never pays for the certificate library.
    signer ??= import('./authority.ts').then((module) => module.createLeafSigner(authority));
    const { privateKeyPem, sign } = await signer;
    return createSecureContext({ key: privateKeyPem, cert: await sign(host) });
  };
  return {
    async contextFor(host) {
      const known = contexts.get(host);
      if (known !== undefined) {
        return known;
      }
      if (!rate.take()) {
        return undefined;
      }
      const making = make(host);
      contexts.set(host, making);
      const [oldest] = contexts.keys();
      if (contexts.size > kept && oldest !== undefined) {
        contexts.delete(oldest);
      }
      making.catch(() => contexts.delete(host));
      return making;
    },
  };
}
