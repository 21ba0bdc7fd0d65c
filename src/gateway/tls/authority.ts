import { createPrivateKey, webcrypto } from 'node:crypto';

import type * as Asn1js from 'asn1js';
import type * as Pkijs from 'pkijs';

import type { Authority } from '../gateway.ts';

/**
 * The certificate authority of one sandbox: P-256, signs only leaf certificates (path length 0), valid for 30 days. Its key
 * stays in the gateway's process and its state folder. pkijs only parses what this file wrote.
 */
export interface AuthorityOptions {
  /** shown in the certificate */
  readonly name: string;
  /** milliseconds since the epoch */
  readonly nowMs?: number | undefined;
  readonly lifeMs?: number | undefined;
}

/** Signs certificates of one authority for host names. */
export interface LeafSigner {
  readonly privateKeyPem: string;
  /** the leaf, PEM */
  readonly sign: (host: string) => Promise<string>;
}

const curve = { name: 'ECDSA', namedCurve: 'P-256' } as const;
const day = 86_400_000;
const oid = {
  commonName: '2.5.4.3',
  organisation: '2.5.4.10',
  subjectKeyId: '2.5.29.14',
  keyUsage: '2.5.29.15',
  alternativeName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyId: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
} as const;
/** RFC 5280 section 4.2.1.3; bit 0 is the highest. */
const usage = { digitalSignature: 0x80, certificateAndListSigning: 0x06 } as const;

export async function createAuthority({ name, nowMs = Date.now(), lifeMs = 30 * day }: AuthorityOptions): Promise<Authority> {
  const keys = await webcrypto.subtle.generateKey(curve, true, ['sign', 'verify']);
  const { pkijs, asn1js, engine, extension, issue } = await toolkit();
  const keyId = await keyIdOf(keys.publicKey);
  const subject = distinguishedName(pkijs, asn1js, `casemate ${name}`);
  const certificate = await issue({
    subject,
    issuer: subject,
    publicKey: keys.publicKey,
    signWith: keys.privateKey,
    from: nowMs - 3_600_000,
    to: nowMs + lifeMs,
    extensions: [
      extension(oid.basicConstraints, new pkijs.BasicConstraints({ cA: true, pathLenConstraint: 0 }).toSchema(), true),
      extension(oid.keyUsage, new asn1js.BitString({ valueHex: bytes(usage.certificateAndListSigning), unusedBits: 1 }), true),
      extension(oid.subjectKeyId, new asn1js.OctetString({ valueHex: keyId })),
    ],
  });
  const pkcs8 = await engine.exportKey('pkcs8', keys.privateKey);
  return { certificatePem: certificate, privateKeyPem: pem('PRIVATE KEY', pkcs8) };
}

/** One key for all leaves of the authority: they are all of the same trust, and a signature is what costs. */
export async function createLeafSigner(authority: Authority): Promise<LeafSigner> {
  const { pkijs, asn1js, engine, extension, issue } = await toolkit();
  const parent = pkijs.Certificate.fromBER(der(authority.certificatePem));
  const signWith = await signingKey(authority.privateKeyPem);
  const keys = await webcrypto.subtle.generateKey(curve, true, ['sign', 'verify']);
  const keyId = await keyIdOf(keys.publicKey);
  const parentKeyId = await keyIdOf(await parent.getPublicKey(undefined, engine));
  return {
    privateKeyPem: pem('PRIVATE KEY', await engine.exportKey('pkcs8', keys.privateKey)),
    sign: (host) =>
      issue({
        // The common name holds 64 characters at most (RFC 5280 appendix A); the name that counts is the alternative one.
        subject: distinguishedName(pkijs, asn1js, host.slice(0, 64)),
        issuer: parent.subject,
        publicKey: keys.publicKey,
        signWith,
        from: parent.notBefore.value.getTime(),
        to: parent.notAfter.value.getTime(),
        extensions: [
          extension(oid.basicConstraints, new pkijs.BasicConstraints({ cA: false }).toSchema(), true),
          extension(oid.keyUsage, new asn1js.BitString({ valueHex: bytes(usage.digitalSignature), unusedBits: 7 }), true),
          extension(oid.extendedKeyUsage, new pkijs.ExtKeyUsage({ keyPurposes: [oid.serverAuth] }).toSchema()),
          extension(
            oid.alternativeName,
            new pkijs.GeneralNames({ names: [new pkijs.GeneralName({ type: 2, value: host })] }).toSchema(),
          ),
          extension(oid.subjectKeyId, new asn1js.OctetString({ valueHex: keyId })),
          extension(
            oid.authorityKeyId,
            new pkijs.AuthorityKeyIdentifier({ keyIdentifier: new asn1js.OctetString({ valueHex: parentKeyId }) }).toSchema(),
          ),
        ],
      }),
  };
}

interface Encodable {
  readonly toBER: (sizeOnly?: boolean) => ArrayBuffer;
}

interface Issue {
  readonly subject: Pkijs.RelativeDistinguishedNames;
  readonly issuer: Pkijs.RelativeDistinguishedNames;
  readonly publicKey: webcrypto.CryptoKey;
  readonly signWith: webcrypto.CryptoKey;
  readonly from: number;
  readonly to: number;
  readonly extensions: Pkijs.Extension[];
}

async function toolkit() {
  const [pkijs, asn1js] = await Promise.all([import('pkijs'), import('asn1js')]);
  const engine = new pkijs.CryptoEngine({ name: 'node', crypto: webcrypto });
  return {
    pkijs,
    asn1js,
    engine,
    extension: (extnID: string, value: Encodable, critical = false) =>
      new pkijs.Extension({ extnID, critical, extnValue: value.toBER(false) }),
    issue: async ({ subject, issuer, publicKey, signWith, from, to, extensions }: Issue): Promise<string> => {
      const certificate = new pkijs.Certificate({
        version: 2,
        serialNumber: new asn1js.Integer({ valueHex: serial() }),
        extensions,
      });
      certificate.subject = subject;
      certificate.issuer = issuer;
      certificate.notBefore.value = new Date(from);
      certificate.notAfter.value = new Date(to);
      await certificate.subjectPublicKeyInfo.importKey(publicKey, engine);
      await certificate.sign(signWith, 'SHA-256', engine);
      return pem('CERTIFICATE', certificate.toSchema(true).toBER(false));
    },
  };
}

function distinguishedName(pkijs: typeof Pkijs, asn1js: typeof Asn1js, commonName: string) {
  return new pkijs.RelativeDistinguishedNames({
    typesAndValues: [
      new pkijs.AttributeTypeAndValue({ type: oid.organisation, value: new asn1js.Utf8String({ value: 'casemate' }) }),
      new pkijs.AttributeTypeAndValue({ type: oid.commonName, value: new asn1js.Utf8String({ value: commonName }) }),
    ],
  });
}

/** Positive and 16 bytes long (RFC 5280 section 4.1.2.2). */
function serial(): ArrayBuffer {
  const random = webcrypto.getRandomValues(new Uint8Array(16));
  random[0] = ((random[0] ?? 0) & 0x3f) | 0x40;
  return random.buffer;
}

/** RFC 7093 method 1: the first 160 bits of the SHA-256 of the key. */
async function keyIdOf(key: webcrypto.CryptoKey): Promise<ArrayBuffer> {
  const raw = await webcrypto.subtle.exportKey('raw', key);
  return (await webcrypto.subtle.digest('SHA-256', raw)).slice(0, 20);
}

function signingKey(privateKeyPem: string): Promise<webcrypto.CryptoKey> {
  const pkcs8 = createPrivateKey(privateKeyPem).export({ format: 'der', type: 'pkcs8' });
  return webcrypto.subtle.importKey('pkcs8', new Uint8Array(pkcs8), curve, false, ['sign']);
}

function bytes(...values: number[]): ArrayBuffer {
  return new Uint8Array(values).buffer;
}

function der(text: string): Buffer {
  return Buffer.from(text.replace(/-----[^-]+-----|\s/g, ''), 'base64');
}

function pem(label: string, content: ArrayBuffer): string {
  const lines =
    Buffer.from(content)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}
