import type { HostName } from '../../base/host.ts';
import { canonicalPath } from '../matching/canonical-path.ts';
import { firstExcess } from '../layers/cover-network.ts';
import { decideExchange, decisiveRules } from '../judging/decide.ts';
import type { HttpAllowance, NetworkRule } from '../policy.ts';

/** Turns a denied request into the one rule that would allow it and nothing more. Pure. */

export interface DeniedRequest {
  readonly host: HostName;
  readonly port: number;
  /** as on the wire; `undefined`: a connection whose bytes are of no known protocol */
  readonly method: string | undefined;
  /** request target; the query is not looked at */
  readonly path: string | undefined;
}

export interface GrantOptions {
  /** id of the new rule, for denials and the journal */
  readonly id: string;
  /** what to allow instead of exactly this method and path; `all`: everything at this host and port */
  readonly functions?: readonly HttpAllowance[] | 'all' | undefined;
}

/** `kept` repeats what the rules allow there already, where the new and more exact rule would take its place. */
export type Grant = { readonly rule: NetworkRule; readonly kept: readonly NetworkRule[] } | { readonly fault: string };

const ruleMethod = /^[A-Z][A-Z-]{0,31}$/;

/** The rules to add to `rules`. At a host that they know already the credential and the upstream stay as they say. */
export function grantRule(rules: readonly NetworkRule[], request: DeniedRequest, { id, functions }: GrantOptions): Grant {
  const { host, port } = request;
  const decisive = decisiveRules(rules, host, port);
  const wanted = functions ?? ownFunction(request);
  if (typeof wanted === 'object' && 'fault' in wanted) {
    return wanted;
  }
  // The rule with the credential decides where another one would let the request pass without.
  const first = decisive.find(({ credential }) => credential !== undefined) ?? decisive[0];
  const place = {
    host: { kind: 'exact', host },
    ports: [port],
    origin: { layer: 'command line', source: 'casemate approve' },
  } as const;
  const kept = decisive.flatMap((rule, index) =>
    rule.host.kind === 'exact' ? [] : [{ ...rule, ...place, id: `${id}:kept${index === 0 ? '' : `.${index + 1}`}` }],
  );
  const http = wanted === 'all' ? undefined : wanted;
  return { rule: { id, ...place, credential: first?.credential, http, upstream: first?.upstream }, kept };
}

/** The rule for one exchange alone: that exchange has been read and shown, so nothing of it is matched again. */
export function onceRule(rules: readonly NetworkRule[], request: DeniedRequest, id: string): NetworkRule | undefined {
  const grant = grantRule(rules, request, { id, functions: 'all' });
  return 'rule' in grant ? grant.rule : undefined;
}

/** Whether an organisation that allows `bound` at most would allow this rule. `undefined`: it says nothing. */
export function isWithinBound(rule: NetworkRule, bound: readonly NetworkRule[] | undefined): boolean {
  return bound === undefined || firstExcess([rule], bound) === undefined;
}

/** Whether this very request could be allowed within the bound. */
export function mayBeGranted(
  rules: readonly NetworkRule[],
  request: DeniedRequest,
  bound: readonly NetworkRule[] | undefined,
): boolean {
  if (bound === undefined) {
    return true;
  }
  const { host, port, method, path } = request;
  const decision =
    method === undefined || path === undefined
      ? decideExchange(bound, host, port, { method: '', path: '' })
      : decideExchange(bound, host, port, { method, path });
  const once = onceRule(rules, request, '');
  const [allowed] = decisiveRules(bound, host, port);
  return decision.verdict === 'allow' && once?.credential === allowed?.credential && once?.upstream === allowed?.upstream;
}

function ownFunction({ method, path }: DeniedRequest): 'all' | readonly HttpAllowance[] | { readonly fault: string } {
  if (method === undefined || path === undefined) {
    return 'all';
  }
  const canonical = canonicalPath(path);
  if (canonical === undefined || canonical.includes('*')) {
    return { fault: 'its path is one that servers read differently, so no rule can name it alone' };
  }
  if (!ruleMethod.test(method)) {
    return { fault: 'its method is none that a rule can name' };
  }
  return canonical.length > 400 ? { fault: 'its path is longer than a rule may be' } : [{ methods: [method], path: canonical }];
}
