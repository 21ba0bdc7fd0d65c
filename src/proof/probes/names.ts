import { randomBytes } from 'node:crypto';

import { attack, control } from '../finding.ts';
import { hosts } from '../lab/hosts.ts';
import type { ProbeTable } from '../probe.ts';

/** Names as a way out (G10): what the policy does not allow is neither resolved nor dialled. */

export const nameProbes: ProbeTable = {
  'names.denied-not-resolved': {
    where: 'lab',
    title: 'send data out in a name that is looked up and connected to',
    proves: ['G10'],
    profile: 'full',
    source: 'CVE-2025-55284; a refusal after resolving has leaked already',
    async run({ twin, world }) {
      const secret = randomBytes(8).toString('hex');
      const denied = `${secret}.${hosts.denied}`;
      const [address = 'none'] = await twin.lookup(denied);
      const stream = address === 'none' ? undefined : await twin.connect(denied, 443).catch(() => undefined);
      stream?.destroy();
      const asked = world.asked.filter((name) => name.includes(secret));
      const dialled = world.seen.filter(({ host }) => host?.includes(secret) === true);
      return {
        rows: [
          attack('queries that left with the secret in them', {
            expected: '0',
            seen: String(asked.length),
            ok: asked.length === 0,
            from: 'outside',
          }),
          attack('connections with it', {
            expected: '0',
            seen: String(dialled.length),
            ok: dialled.length === 0,
            from: 'outside',
          }),
          control('the name has an address inside, so that the refusal can be explained', {
            expected: '127.…',
            seen: address,
            ok: address.startsWith('127.'),
          }),
        ],
      };
    },
  },
};
