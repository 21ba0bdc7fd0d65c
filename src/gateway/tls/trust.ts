import { getCACertificates, rootCertificates } from 'node:tls';

import type { Environment } from '../../system/environment.ts';
import { readTextIfPresent } from '../../system/files.ts';

/** Which authorities this host trusts, for TLS towards upstreams. Verification cannot be turned off anywhere. */

const bundles = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/ssl/cert.pem',
] as const;

/** The host's certificates, PEM: its bundle (or `SSL_CERT_FILE`), and `NODE_EXTRA_CA_CERTS` beside it. */
export async function hostTrustStore(env: Environment): Promise<string> {
  const named = env.get('SSL_CERT_FILE');
  const base = (named === undefined ? await firstPresent(bundles) : await readTextIfPresent(named)) ?? builtIn();
  const extra = env.get('NODE_EXTRA_CA_CERTS');
  const added = extra === undefined ? undefined : await readTextIfPresent(extra);
  // Both variables often name the same bundle: each certificate once.
  return `${[...new Set([...splitPem(base), ...splitPem(added ?? '')])].join('\n')}\n`;
}

async function firstPresent(paths: readonly string[]): Promise<string | undefined> {
  for (const path of paths) {
    // oxlint-disable-next-line no-await-in-loop -- the first that is there wins
    const text = await readTextIfPresent(path);
    if (text?.includes('BEGIN CERTIFICATE') === true) {
      return text;
    }
  }
  return undefined;
}

function builtIn(): string {
  const system = getCACertificates('system');
  return (system.length > 0 ? system : rootCertificates).join('\n');
}

/** The certificates of a bundle, one by one: `tls` reads only the first of a longer text in some places. */
export function splitPem(pem: string): string[] {
  return pem.match(/-----BEGIN (?:TRUSTED )?CERTIFICATE-----[\s\S]*?-----END (?:TRUSTED )?CERTIFICATE-----/g) ?? [];
}
