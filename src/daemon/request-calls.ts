import { allowOption } from '../policy/written/read-allowance.ts';
import { approve, deny, listRequests, liveRules } from '../sandbox/requests/approvals.ts';
import { actorOf, type SandboxContext } from '../sandbox/context.ts';
import type { Calling } from './server.ts';

/** The operator's calls about denied requests. A connection that serves an agent must never have them; see `operatorMethods`. */
type RequestCalls = Pick<Calling, 'requests' | 'requests-follow' | 'request-approve' | 'request-deny'>;

/** Changes that come close together are told of once. */
const gatherMs = 50;

export function createRequestCalls(context: SandboxContext): RequestCalls {
  const actor = actorOf(context.uid);
  const list = () => listRequests(context, (sandbox) => liveRules(context, sandbox));
  return {
    requests: async () => list(),
    async 'requests-follow'(_, call) {
      const { promise, resolve } = Promise.withResolvers<Record<string, never>>();
      let timer: NodeJS.Timeout | undefined;
      const tell = (): void => {
        timer = undefined;
        call.progress(JSON.stringify(list()));
      };
      const stop = context.asks.watch(
        () => void (timer ??= setTimeout(tell, gatherMs)),
        () => resolve({}),
      );
      call.onLost(() => resolve({}));
      tell();
      await promise;
      clearTimeout(timer);
      stop();
      return {};
    },
    async 'request-approve'({ functions, ...rest }) {
      return await approve(context, { ...rest, actor, functions: functions === 'all' ? 'all' : functions?.map(allowOption) });
    },
    async 'request-deny'({ id, scope }) {
      await deny(context, { id, scope, actor });
      return { id };
    },
  };
}
