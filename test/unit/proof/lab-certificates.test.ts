import { once } from 'node:events';
import { duplexPair } from 'node:stream';
import { connect, TLSSocket } from 'node:tls';

import { beforeAll, expect, test } from 'vitest';

import { createCertificates, type CertificateKind, type Certificates } from '../../../src/proof/lab/certificates.ts';

/** What a lab's servers show must be refused for the one reason that its name says, or a probe proves another guard. */
let certificates: Certificates;
beforeAll(async () => {
  certificates = await createCertificates();
});

async function said(kind: CertificateKind): Promise<string> {
  const [client, server] = duplexPair();
  const context = await certificates.contexts[kind]('some.proof.test');
  const serving = new TLSSocket(server, { isServer: true, secureContext: context });
  serving.on('error', () => undefined);
  const secure = connect({ socket: client, servername: 'some.proof.test', ca: certificates.trustedPem });
  const outcome = await Promise.race([
    once(secure, 'secureConnect').then(() => 'accepted'),
    new Promise<string>((resolve) => {
      secure.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    }),
  ]);
  secure.destroy();
  return outcome;
}

test.each([
  ['valid', 'accepted'],
  ['expired', 'CERT_HAS_EXPIRED'],
  ['early', 'CERT_NOT_YET_VALID'],
  ['stranger', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
  ['misnamed', 'ERR_TLS_CERT_ALTNAME_INVALID'],
] as const)('the certificate that is %s is answered with %s', async (kind, code) => {
  expect(await said(kind)).toBe(code);
});
