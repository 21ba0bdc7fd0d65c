import { createPublicKey, sign, verify, type KeyObject } from 'node:crypto';

import { keyIdOf, type JournalKeys } from './journal-keys.ts';

/**
 * Signs statements about things other than the journal with the journal's key (Ed25519, RFC 8032), so that trusting one means
 * trusting both. The kind is part of the signed text: a statement of one kind never passes for another, nor for a checkpoint.
 */
export interface Attestation {
  /** first 16 hex digits of the SHA-256 of the public key */
  readonly key: string;
  /** SubjectPublicKeyInfo, PEM */
  readonly publicKey: string;
  /** hex */
  readonly signature: string;
}

export type AttestationKind = 'proof';

export function attest(kind: AttestationKind, text: string, { signing, publicKey, keyId }: JournalKeys): Attestation {
  const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
  return { key: keyId, publicKey: pem, signature: sign(null, signedBytes(kind, text), signing).toString('hex') };
}

/** Why it does not hold, or `undefined`. Whoever made it may have made the key: compare `key` with one you trust. */
export function attestationFault(
  kind: AttestationKind,
  text: string,
  { key, publicKey, signature }: Attestation,
): string | undefined {
  const parsed = parseKey(publicKey);
  if (parsed === undefined) {
    return 'the public key is no Ed25519 key';
  }
  if (keyIdOf(parsed) !== key) {
    return `the public key is ${keyIdOf(parsed)}, not ${key}`;
  }
  const isWellFormed = /^[0-9a-f]{128}$/.test(signature);
  return isWellFormed && verify(null, signedBytes(kind, text), parsed, Buffer.from(signature, 'hex'))
    ? undefined
    : 'the signature is wrong';
}

function signedBytes(kind: AttestationKind, text: string): Buffer {
  return Buffer.from(`casemate ${kind} v1\n${text}`);
}

function parseKey(pem: string): KeyObject | undefined {
  try {
    const key = createPublicKey(pem);
    return key.asymmetricKeyType === 'ed25519' ? key : undefined;
  } catch {
    return undefined;
  }
}
