import { parseHost } from '../base/host.ts';
import { visible } from '../base/text.ts';
import { explain } from '../policy/proposing/explain.ts';
import { listRequests, liveRules, plead } from '../sandbox/requests/approvals.ts';
import type { SandboxContext } from '../sandbox/context.ts';
import type { Sandboxes } from '../sandbox/sandboxes.ts';
import { raiseTransferAlarm } from '../sandbox/recorded/transfer-alarm.ts';
import type { Calling } from './server.ts';

/** What one sandbox may reach and what it was denied, for its owner. Nothing here allows anything. */
export function createAccessCalls(
  context: SandboxContext,
  { find, actor }: { readonly find: Sandboxes['find']; readonly actor: string },
): Pick<Calling, 'session-requests' | 'session-plead' | 'session-explain' | 'session-alarm'> {
  return {
    async 'session-requests'({ name }) {
      const { id } = find(name);
      return listRequests(context, (sandbox) => liveRules(context, sandbox)).filter(({ sandbox }) => sandbox === id);
    },
    async 'session-plead'({ name, id, reason }) {
      await plead(context, { id, sandbox: find(name).id, actor, reason: visible(reason) });
      return {};
    },
    async 'session-alarm'({ name, path }) {
      const { id, parent } = find(name);
      await raiseTransferAlarm(context, { sandbox: id, parent, actor, path: visible(path) });
      return {};
    },
    'session-explain': async ({ name, host, port, request }) =>
      explain({ network: liveRules(context, find(name).id), origins: {} }, { host: parseHost(host), port, request }),
  };
}
