import { z } from 'zod';

import { visible } from '../../base/text.ts';
import { checkedValue, unavailable } from '../sources/checked-value.ts';
import type { Secret } from '../credential.ts';
import type { SealedNote, SealedStore } from './sealed-store.ts';

/** A credential in the sealed store: its value, and the notes given when it was set. */

export interface ValueNote {
  /** row of the provider table */
  readonly provider: string;
  /** the only hosts it may go to, as patterns such as `*.example.com`; empty: those of the policy */
  readonly hosts: readonly string[];
  /** milliseconds since 1970 */
  readonly setMs: number;
  /** when the present value was put in the place of another one */
  readonly rotatedMs: number | undefined;
}

const value = z.strictObject({ text: z.string() });
const note = z.object({
  provider: z.string(),
  hosts: z.array(z.string()),
  setMs: z.number(),
  rotatedMs: z.number().optional(),
});

export function readNote(sealed: SealedNote): ValueNote {
  const { provider, hosts, setMs, rotatedMs } = note.parse(sealed.note);
  return { provider, hosts, setMs, rotatedMs };
}

/** For these hosts of a plan. Throws `CREDENTIAL_UNAVAILABLE` for a host that the value was not meant for. */
export async function readSealedValue(
  store: SealedStore,
  { name, hosts }: { readonly name: string; readonly hosts: readonly string[] },
): Promise<Secret | undefined> {
  const found = await store.find('credential', name);
  if (found === undefined) {
    return undefined;
  }
  const meant = readNote(found).hosts;
  const other = meant.length === 0 ? undefined : hosts.find((host) => !meant.some((one) => covers(one, host)));
  if (other !== undefined) {
    throw unavailable(
      `the sealed value "${visible(name)}" was set for ${meant.join(', ')}, not for ${visible(other)}`,
      `Set it for that host, too: casemate credentials set ${visible(name)} --host ${visible(other)}`,
    );
  }
  return checkedValue(value.parse(found.value).text, `sealed value "${visible(name)}"`);
}

export async function writeSealedValue(
  store: SealedStore,
  name: string,
  { text, ...about }: ValueNote & { readonly text: string },
): Promise<void> {
  await store.put({ kind: 'credential', name, note: { ...about }, value: { text } });
}

/** Both as policies write them: an exact name, or `*.` and all below. */
function covers(outer: string, inner: string): boolean {
  return outer === inner || (outer.startsWith('*.') && inner.endsWith(outer.slice(1)));
}
