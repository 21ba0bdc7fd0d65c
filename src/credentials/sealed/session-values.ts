import { z } from 'zod';

import { hasPhantom } from '../phantom.ts';
import { checkedValue, unavailable } from '../sources/checked-value.ts';
import type { Secret } from '../credential.ts';
import type { SealedStore } from './sealed-store.ts';

/**
 * Keys that arrived with the call that created a sandbox: sealed under the sandbox's id, usable by it alone, removed with it.
 */
export interface SessionPlace {
  readonly sandbox: string;
  /** name of the credential in the plan */
  readonly credential: string;
}

const value = z.strictObject({ text: z.string() });

/** Throws `CREDENTIAL_UNAVAILABLE` for what is no value; nothing of it is in the error. */
export function checkedSessionValue(text: string, credential: string): string {
  const checked = checkedValue(text, `the key given for "${credential}"`).reveal();
  if (hasPhantom(checked)) {
    throw unavailable('what was given is a phantom of a sandbox, not a key: it is worth nothing', 'Give the real key.');
  }
  return checked;
}

export async function writeSessionValue(store: SealedStore, place: SessionPlace, text: string): Promise<void> {
  await store.put({ kind: 'session', name: nameOf(place), note: {}, value: { text } });
}

export async function readSessionValue(store: SealedStore, place: SessionPlace): Promise<Secret | undefined> {
  const found = await store.get('session', nameOf(place));
  return found === undefined ? undefined : checkedValue(value.parse(found).text, `the key given for "${place.credential}"`);
}

/** Of every sandbox that `isGone` names. */
export async function removeSessionValues(store: SealedStore, isGone: (sandbox: string) => boolean): Promise<void> {
  for (const { name } of await store.list('session')) {
    if (isGone(name.split('/')[0] ?? '')) {
      // oxlint-disable-next-line no-await-in-loop -- one file, one change at a time
      await store.remove('session', name);
    }
  }
}

function nameOf({ sandbox, credential }: SessionPlace): string {
  return `${sandbox}/${credential}`;
}
