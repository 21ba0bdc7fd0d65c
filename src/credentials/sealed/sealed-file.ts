import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes, timingSafeEqual } from 'node:crypto';

import { z } from 'zod';

/**
 * The format of the file of sealed values. Each value is sealed on its own (AES-256-GCM, NIST SP 800-38D, random nonce of 96
 * bits) with its kind, name and note as associated data, so that none can be moved to another's place. A MAC over the whole file
 * (HMAC-SHA-256) shows what was removed or cut off. Names and notes can be read without the key, values cannot.
 */
export interface SealedFile {
  readonly key: KeyNote;
  readonly entries: readonly SealedEntry[];
}

/** Which key seals the file, and where that key is kept. */
export interface KeyNote {
  readonly place: 'file' | 'keychain';
  /** tells keys apart; says nothing about the key */
  readonly id: string;
}

export interface SealedEntry {
  readonly kind: string;
  readonly name: string;
  /** what may be known without the key, such as hosts and times */
  readonly note: Readonly<Record<string, unknown>>;
  readonly nonce: string;
  readonly sealed: string;
}

export interface Keys {
  readonly id: string;
  readonly seal: Buffer;
  readonly mac: Buffer;
}

const format = 'casemate sealed values';
const version = 1;

const base64 = z.string().regex(/^[A-Za-z0-9+/]+={0,2}$/);
const outer = z.object({ format: z.literal(format), version: z.number().int() });
const inner = z.strictObject({
  format: z.literal(format),
  version: z.literal(version),
  key: z.strictObject({ place: z.enum(['file', 'keychain']), id: z.string().regex(/^[0-9a-f]{16}$/) }),
  entries: z.array(
    z.strictObject({
      kind: z.string().regex(/^[a-z-]{1,32}$/),
      name: z.string().min(1).max(128),
      note: z.record(z.string(), z.unknown()),
      nonce: base64,
      sealed: base64,
    }),
  ),
  mac: z.string().regex(/^[0-9a-f]{64}$/),
});

/** Three keys out of one (HKDF-SHA-512), so that none is used for two things. `master`: 32 bytes. */
export function keysFrom(master: Uint8Array): Keys {
  const derive = (purpose: string, bytes: number): Buffer =>
    Buffer.from(hkdfSync('sha512', master, '', `casemate sealed values ${purpose}`, bytes));
  return { id: derive('id', 8).toString('hex'), seal: derive('seal', 32), mac: derive('mac', 32) };
}

export type ParsedFile =
  | { readonly ok: true; readonly file: SealedFile; readonly isWhole: (keys: Keys) => boolean }
  | { readonly ok: false; readonly fault: 'later version' | 'damaged' };

/** Reads the form; `isWhole` then says whether it is what the holder of the key wrote. */
export function parseSealedFile(text: string): ParsedFile {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { ok: false, fault: 'damaged' };
  }
  const head = outer.safeParse(value);
  if (head.success && head.data.version > version) {
    return { ok: false, fault: 'later version' };
  }
  const parsed = inner.safeParse(value);
  if (!parsed.success) {
    return { ok: false, fault: 'damaged' };
  }
  const { key, entries, mac } = parsed.data;
  const file: SealedFile = { key, entries };
  return {
    ok: true,
    file,
    isWhole: (keys) => timingSafeEqual(Buffer.from(mac, 'hex'), macOf(file, keys)),
  };
}

export function formatSealedFile(file: SealedFile, keys: Keys): string {
  const { key, entries } = file;
  return `${JSON.stringify({ format, version, key, entries, mac: macOf(file, keys).toString('hex') }, null, 1)}\n`;
}

/** `random` gives the nonce: a second use of one under the same key would give both values away. */
export function sealEntry(
  { kind, name, note, text }: Pick<SealedEntry, 'kind' | 'name' | 'note'> & { readonly text: string },
  keys: Keys,
  random: (bytes: number) => Buffer = randomBytes,
): SealedEntry {
  const nonce = random(12);
  const cipher = createCipheriv('aes-256-gcm', keys.seal, nonce);
  cipher.setAAD(boundTo({ kind, name, note }));
  const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]);
  return { kind, name, note, nonce: nonce.toString('base64'), sealed: sealed.toString('base64') };
}

/** `undefined` where the value, its name or its note is not what was sealed. */
export function openEntry(entry: SealedEntry, keys: Keys): string | undefined {
  const sealed = Buffer.from(entry.sealed, 'base64');
  const nonce = Buffer.from(entry.nonce, 'base64');
  if (sealed.length < tagBytes || nonce.length !== 12) {
    return undefined;
  }
  try {
    const decipher = createDecipheriv('aes-256-gcm', keys.seal, nonce, { authTagLength: tagBytes });
    decipher.setAAD(boundTo(entry));
    decipher.setAuthTag(sealed.subarray(-tagBytes));
    return Buffer.concat([decipher.update(sealed.subarray(0, -tagBytes)), decipher.final()]).toString('utf8');
  } catch {
    return undefined;
  }
}

const tagBytes = 16;

function boundTo({ kind, name, note }: Pick<SealedEntry, 'kind' | 'name' | 'note'>): Buffer {
  return Buffer.from(JSON.stringify([format, version, kind, name, note]));
}

function macOf({ key, entries }: SealedFile, keys: Keys): Buffer {
  const rows = entries.map(({ kind, name, note, nonce, sealed }) => [kind, name, note, nonce, sealed]);
  return createHmac('sha256', keys.mac)
    .update(JSON.stringify([format, version, key.place, key.id, rows]))
    .digest();
}
