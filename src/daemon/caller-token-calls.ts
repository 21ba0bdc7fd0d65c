import { randomBytes } from 'node:crypto';

import { CasemateError } from '../base/errors.ts';
import { actorOf, type SandboxContext } from '../sandbox/context.ts';
import type { StoredCaller } from '../sandbox/stored/caller-tokens.ts';
import type { CallerView } from './caller-view.ts';
import { policyOfCaller } from './caller-policy.ts';
import { rootFolder } from './root-folder.ts';
import { claimOf, hashOf } from './token-claims.ts';
import type { Calling } from './server.ts';
import { timeText } from './views.ts';

/** The operator's calls about who may connect over the network. A token is shown once, to the person who asked for it. */
export function createCallerTokenCalls(
  context: SandboxContext,
  endOf: (name: string) => Promise<readonly string[]>,
): Pick<Calling, 'caller-add' | 'caller-list' | 'caller-revoke' | 'caller-find'> {
  const { store, journal, clock } = context;
  const callers = store.callers;
  const actor = actorOf(context.uid);
  return {
    async 'caller-add'({ name, role, roots, policy: asked, lifeMs }) {
      if (callers.find(name) !== undefined) {
        throw new CasemateError('NAME_IN_USE', `there is a caller "${name}"`, {
          hint: `Choose another name, or run: casemate caller revoke ${name}`,
        });
      }
      const nowMs = clock.nowMs();
      const expiresMs = lifeMs === undefined ? undefined : nowMs + lifeMs;
      const real = await Promise.all(roots.map(rootFolder));
      const policy = asked === undefined ? undefined : await policyOfCaller(asked, real);
      const caller: StoredCaller = { name, role, roots: real, policy, createdMs: nowMs, expiresMs };
      const token = `cmt_${randomBytes(32).toString('base64url')}`;
      const detail = { role, roots: caller.roots.length, ...(expiresMs === undefined ? {} : { expires: timeText(expiresMs) }) };
      await journal.append({ actor, action: 'caller.add', subject: name, decision: 'none', outcome: 'ok', detail });
      callers.add(caller, hashOf(token));
      return { caller: viewOfCaller(caller, nowMs), token };
    },
    'caller-list': async () => callers.list().map((caller) => viewOfCaller(caller, clock.nowMs())),
    async 'caller-revoke'({ name }) {
      // In force before it is on record: a full disk must not keep a caller in.
      const revoked = callers.revoke(name);
      await journal.append({
        actor,
        action: 'caller.revoke',
        subject: name,
        decision: 'none',
        outcome: revoked ? 'ok' : 'unknown',
      });
      return { name, revoked, stopped: revoked ? await endOf(name) : [] };
    },
    async 'caller-find'(asked) {
      const claim = claimOf(context, 'token' in asked ? hashOf(asked.token) : asked.hash);
      return claim === undefined ? {} : { claim };
    },
  };
}

function viewOfCaller({ name, role, roots, policy, createdMs, expiresMs }: StoredCaller, nowMs: number): CallerView {
  return {
    name,
    role,
    roots,
    policy,
    createdAt: timeText(createdMs),
    expiresAt: expiresMs === undefined ? undefined : timeText(expiresMs),
    expired: expiresMs !== undefined && nowMs >= expiresMs,
  };
}
