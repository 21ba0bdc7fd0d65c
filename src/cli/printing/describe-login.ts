import { visible } from '../../base/text.ts';
import type { LoginShown } from '../../daemon/protocol.ts';

/** A login in words. */

const origins = {
  browser: 'a login of its own',
  import: 'taken over from this host',
  token: 'a single long-lived token',
} as const;

/** One line, e.g. `claude: a login of its own; valid until ...`. */
export function describeLogin({ agent, origin, plan, validUntil, stopped }: LoginShown): string {
  const parts = [
    origins[origin],
    ...(plan === undefined ? [] : [`plan ${visible(plan)}`]),
    stopped === undefined ? `valid until ${validUntil ?? 'an unknown time'}` : `ended: ${visible(stopped)}`,
  ];
  return `${visible(agent)}: ${parts.join('; ')}`;
}
