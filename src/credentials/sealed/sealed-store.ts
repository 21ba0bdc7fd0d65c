import { dirname, join } from 'node:path';

import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import { stampOf } from '../../system/file-stamp.ts';
import { isErrno, removeDrafts, writeDurably } from '../../system/files.ts';
import { ownText } from '../../system/own-files.ts';
import { findOrMakeSealKey, findSealKey, type SealKeyPlace } from './seal-key.ts';
import { formatSealedFile, keysFrom, openEntry, parseSealedFile, sealEntry, type Keys, type SealedFile } from './sealed-file.ts';

/**
 * Values sealed at rest: credentials, and the token families of logins. Only the daemon opens it. A file that is damaged or
 * sealed with another key is reported and left alone, never replaced.
 */
export interface SealedStore {
  /** What is sealed, without any value. Needs no key. */
  readonly list: (kind: SealedKind) => Promise<readonly SealedNote[]>;
  /** `undefined`: nothing of this name. Throws `CREDENTIAL_UNAVAILABLE` where it cannot be opened. */
  readonly get: (kind: SealedKind, name: string) => Promise<unknown>;
  /** The value with its note; costs one look at the file once the value was opened. */
  readonly find: (kind: SealedKind, name: string) => Promise<SealedFinding | undefined>;
  /** Durable when it resolves. `value` is plain JSON; `note` can be read without the key. */
  readonly put: (entry: { kind: SealedKind; name: string; note: SealedNote['note']; value: unknown }) => Promise<void>;
  /** Resolves to whether there was one. */
  readonly remove: (kind: SealedKind, name: string) => Promise<boolean>;
  /** where the key is, once the store has been opened */
  readonly keyPlace: () => 'file' | 'keychain' | undefined;
}

export type SealedKind = 'credential' | 'login' | 'session';

export interface SealedNote {
  readonly name: string;
  readonly note: Readonly<Record<string, unknown>>;
}

export interface SealedStoreOptions extends SealKeyPlace {
  /** absolute path of the file; its folder exists */
  readonly path: string;
}

export interface SealedFinding extends SealedNote {
  readonly value: unknown;
}

interface Opened {
  readonly keys: Keys;
  readonly file: SealedFile;
  readonly stamp: string | undefined;
  /** opened values by kind and name: each is deciphered once */
  readonly values: Map<string, SealedFinding>;
}

export const sealedFileName = 'credentials.sealed';

export function createSealedStore(options: SealedStoreOptions): SealedStore {
  let opened: Opened | undefined;
  let queue: Promise<unknown> = Promise.resolve();
  /** One after the other: two changes at once would lose one of them. */
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const turn = queue.then(work);
    queue = turn.catch(() => undefined);
    return turn;
  };
  const change = async (alter: (file: SealedFile, keys: Keys) => SealedFile): Promise<void> => {
    const before = (await open(options, opened)) ?? (await first(options));
    opened = await write(options, before, alter(before.file, before.keys));
  };
  const find = (kind: SealedKind, name: string): Promise<SealedFinding | undefined> =>
    inTurn(async () => {
      opened = await open(options, opened);
      return opened && findingOf(opened, { kind, name, path: options.path });
    });
  return {
    find,
    get: async (kind, name) => (await find(kind, name))?.value,
    async list(kind) {
      return notesOf(readForm(options.path)?.file, kind);
    },
    put: ({ kind, name, note, value }) =>
      inTurn(() =>
        change((file, keys) => ({
          ...file,
          entries: [...without(file, kind, name), sealEntry({ kind, name, note, text: JSON.stringify(value) }, keys)],
        })),
      ),
    remove: (kind, name) =>
      inTurn(async () => {
        opened = await open(options, opened);
        const isThere = opened?.file.entries.some((entry) => entry.kind === kind && entry.name === name) === true;
        if (isThere) {
          await change((file) => ({ ...file, entries: without(file, kind, name) }));
        }
        return isThere;
      }),
    keyPlace: () => opened?.file.key.place,
  };
}

/** Names of the sealed credentials, for resolving a policy; asks for no key. Throws `CREDENTIAL_UNAVAILABLE`. */
export async function sealedNames(stateFolder: string, kind: SealedKind): Promise<readonly string[]> {
  const form = readForm(join(stateFolder, sealedFileName));
  return notesOf(form?.file, kind).map(({ name }) => name);
}

function notesOf(file: SealedFile | undefined, kind: SealedKind): readonly SealedNote[] {
  return (file?.entries ?? []).filter((entry) => entry.kind === kind).map(({ name, note }) => ({ name, note }));
}

function without({ entries }: SealedFile, kind: SealedKind, name: string): SealedFile['entries'] {
  return entries.filter((entry) => entry.kind !== kind || entry.name !== name);
}

function sealedText(path: string): string | undefined {
  try {
    return ownText(path);
  } catch (error) {
    throw unusable(path, `cannot be read (${codeOf(error)})`, error);
  }
}

function readForm(path: string) {
  const text = sealedText(path);
  if (text === undefined) {
    return undefined;
  }
  const parsed = parseSealedFile(text);
  if (!parsed.ok) {
    throw unusable(path, parsed.fault === 'damaged' ? 'is damaged' : 'was written by a later version of casemate');
  }
  return parsed;
}

/** What was opened before, unless the file is another one now; `undefined` where there is none. */
async function open(options: SealedStoreOptions, before: Opened | undefined): Promise<Opened | undefined> {
  const { path } = options;
  const stamp = await stampOf(path);
  if (before !== undefined && before.stamp === stamp) {
    return before;
  }
  const form = readForm(path);
  if (form === undefined) {
    return undefined;
  }
  // What a process that was killed in the middle of writing left beside the file.
  await removeDrafts(dirname(path));
  const keys = before?.keys.id === form.file.key.id ? before.keys : await keysOf(form.file, options);
  if (!form.isWhole(keys)) {
    throw unusable(path, 'is damaged or was changed: its seal does not fit');
  }
  return { keys, file: form.file, stamp, values: new Map() };
}

async function keysOf({ key }: SealedFile, options: SealedStoreOptions): Promise<Keys> {
  const { master } = await findSealKey(key.place, options);
  const keys = keysFrom(master);
  if (keys.id !== key.id) {
    throw unusable(options.path, `is sealed with another key (${key.id}) than the one that is here (${keys.id})`);
  }
  return keys;
}

async function first(options: SealedStoreOptions): Promise<Opened> {
  const { master, place } = await findOrMakeSealKey(options);
  const keys = keysFrom(master);
  return { keys, file: { key: { place, id: keys.id }, entries: [] }, stamp: undefined, values: new Map() };
}

async function write({ path }: SealedStoreOptions, { keys, stamp }: Opened, file: SealedFile): Promise<Opened> {
  if ((await stampOf(path)) !== stamp) {
    throw unusable(path, 'was changed by another program just now');
  }
  try {
    await writeDurably(path, formatSealedFile(file, keys));
  } catch (error) {
    throw new CasemateError('STORE_FAILED', `cannot write ${visible(path)} (${codeOf(error)}); nothing was changed`, {
      hint: 'Check free space and permissions of that folder.',
    });
  }
  return { keys, file, stamp: await stampOf(path), values: new Map() };
}

function findingOf(
  { file, keys, values }: Opened,
  place: { readonly kind: SealedKind; readonly name: string; readonly path: string },
): SealedFinding | undefined {
  const { kind, name, path } = place;
  const id = `${kind} ${name}`;
  if (!values.has(id)) {
    const entry = file.entries.find((one) => one.kind === kind && one.name === name);
    if (entry === undefined) {
      return undefined;
    }
    const text = openEntry(entry, keys);
    if (text === undefined) {
      throw unusable(path, `holds a value that cannot be opened: ${visible(name)}`);
    }
    values.set(id, { name, note: entry.note, value: JSON.parse(text) });
  }
  return values.get(id);
}

function unusable(path: string, why: string, cause?: unknown): CasemateError {
  return new CasemateError('CREDENTIAL_UNAVAILABLE', `the file of sealed values ${visible(path)} ${why}`, {
    cause,
    hint: 'It is left as it is. Bring file and key back from a backup, or move the file away and set the credentials again.',
  });
}

function codeOf(error: unknown): string {
  return isErrno(error, 'ENOSPC') ? 'no space left' : error instanceof Error && 'code' in error ? String(error.code) : 'fault';
}
