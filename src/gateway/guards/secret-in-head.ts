import type { Exchange } from '../exchange.ts';
import type { Field } from '../http/fields.ts';
import type { LiveSandbox } from '../live-sandbox.ts';
import { refuse, type Refusal } from '../refusal.ts';
import type { NeedleSet } from '../secrets/needle-search.ts';
import { secretIn } from '../secrets/secret-search.ts';

/** Refuses requests with known secrets of the host in their short parts, where nothing can be masked. */

export function secretInHead({ target, fields }: Pick<Exchange, 'target' | 'fields'>, live: LiveSandbox): Refusal | undefined {
  const needles = soughtOf(live);
  const label = needles === undefined ? undefined : secretIn(target, needles);
  return label === undefined ? secretInFields(fields, live) : secretRefusal(label, 'the address of the request');
}

/** In front of the content or behind it. */
export function secretInFields(fields: readonly Field[], live: LiveSandbox): Refusal | undefined {
  const needles = soughtOf(live);
  if (needles === undefined) {
    return undefined;
  }
  for (const [name, value] of fields) {
    const label = secretIn(`${name}: ${value}`, needles);
    if (label !== undefined) {
      return secretRefusal(label, `the header ${name.slice(0, 64)}`);
    }
  }
  return undefined;
}

/** `undefined`: nothing is sought. */
function soughtOf({ sandbox: { guarding, id } }: LiveSandbox): NeedleSet | undefined {
  const needles = guarding?.rules.secrets.mode === 'off' ? undefined : guarding?.known.needlesFor(id);
  return needles === undefined || needles.size === 0 ? undefined : needles;
}

export function secretRefusal(label: string, where: string): Refusal {
  return { ...refuse('secret-outgoing', `a secret of this host stands in ${where} (${label})`), secret: label };
}
