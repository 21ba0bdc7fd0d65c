import { createSecureContext, type SecureContext } from 'node:tls';

import { createAuthority, createLeafSigner } from '../../gateway/tls/authority.ts';

/** Certificates of the lab's servers, from a trusted authority and from those that must not be trusted. */
export interface Certificates {
  /** what the lab's daemon trusts, PEM: also authorities whose time is over, or has not begun */
  readonly trustedPem: string;
  readonly contexts: Readonly<Record<CertificateKind, ContextFor>>;
}

/** `valid`: as it should be; `misnamed`: for another name; the others: from an authority that is none, for now or ever. */
export type CertificateKind = 'valid' | 'expired' | 'early' | 'stranger' | 'misnamed';

/** A certificate for whatever name is asked for. */
export type ContextFor = (host: string) => Promise<SecureContext>;

const dayMs = 86_400_000;

export async function createCertificates(nowMs = Date.now()): Promise<Certificates> {
  const [valid, expired, early, stranger] = await Promise.all([
    createAuthority({ name: 'proof' }),
    createAuthority({ name: 'proof past', nowMs: nowMs - 10 * dayMs, lifeMs: 5 * dayMs }),
    createAuthority({ name: 'proof future', nowMs: nowMs + 5 * dayMs, lifeMs: 5 * dayMs }),
    createAuthority({ name: 'proof stranger' }),
  ]);
  const good = await contextsOf(valid);
  return {
    trustedPem: [valid, expired, early].map(({ certificatePem }) => certificatePem).join('\n'),
    contexts: {
      valid: good,
      expired: await contextsOf(expired),
      early: await contextsOf(early),
      stranger: await contextsOf(stranger),
      misnamed: (host) => good(`other.${host}`),
    },
  };
}

async function contextsOf(authority: Parameters<typeof createLeafSigner>[0]): Promise<ContextFor> {
  const { privateKeyPem, sign } = await createLeafSigner(authority);
  const made = new Map<string, Promise<SecureContext>>();
  const make = async (host: string): Promise<SecureContext> =>
    createSecureContext({ key: privateKeyPem, cert: await sign(host) });
  return (host) => {
    const known = made.get(host) ?? make(host);
    made.set(host, known);
    return known;
  };
}
