import { canonicalPath } from '../matching/canonical-path.ts';
import { decisiveRules, decideAsked } from '../judging/decide.ts';
import { formatAllowance } from '../judging/format-functions.ts';
import { functionsInRule, generalisePaths, type SeenFunction } from './generalise-paths.ts';
import { grantRule, isWithinBound, mayBeGranted, type DeniedRequest } from './grant-rule.ts';
import { formatHostPattern } from '../matching/host-pattern.ts';
import type { HttpAllowance, NetworkRule } from '../policy.ts';
import { ruleWords } from './words.ts';

/**
 * Turns denied exchanges into the smallest set of rules that allows them in addition to the existing rules. Pure. Hosts are
 * named one by one, never by a wildcard; paths are generalised only by the steps of `generalise-paths.ts`.
 */
export interface ProposeOptions {
  /** rules of the organisation, which no proposal exceeds */
  readonly bound?: readonly NetworkRule[] | undefined;
  /** instead of what was asked for */
  readonly functions?: readonly HttpAllowance[] | 'all' | undefined;
}

/** A rule as it is written in a policy file. */
export interface WrittenForm {
  readonly host: string;
  /** left out where it is 443 alone */
  readonly ports?: readonly number[];
  readonly credential?: string;
  readonly allow?: readonly string[];
  /** never in a project file, which keeps what the layers above say */
  readonly upstream?: string;
}

export interface Proposal {
  readonly rules: readonly WrittenForm[];
  /** one sentence for each thing that would be allowed */
  readonly words: readonly string[];
  readonly steps: readonly string[];
  /** what no rule was made for, and why */
  readonly leftOut: readonly { readonly asked: string; readonly why: string }[];
  /** what was asked for and the rules would allow */
  readonly covered: readonly DeniedRequest[];
}

export function propose(
  rules: readonly NetworkRule[],
  asked: readonly DeniedRequest[],
  { bound, functions }: ProposeOptions = {},
): Proposal {
  const places = Map.groupBy(
    asked.filter((one) => decideAsked(rules, one).verdict === 'deny'),
    ({ host, port }) => `${host} ${port}`,
  );
  const parts = [...places]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([, requests]) => proposeFor(rules, requests, { bound, functions }));
  return {
    rules: parts.flatMap((part) => part.rules),
    words: parts.flatMap((part) => part.words),
    steps: [...new Set(parts.flatMap((part) => part.steps))],
    leftOut: parts.flatMap((part) => part.leftOut),
    covered: parts.flatMap((part) => part.covered),
  };
}

const nothing: Proposal = { rules: [], words: [], steps: [], leftOut: [], covered: [] };

/** All that was asked of one host and port. */
function proposeFor(rules: readonly NetworkRule[], requests: readonly DeniedRequest[], options: ProposeOptions): Proposal {
  const [first] = requests;
  if (first === undefined) {
    return nothing;
  }
  const decisive = decisiveRules(rules, first.host, first.port);
  if (decisive.some(({ git, mcp, registry }) => git !== undefined || mcp !== undefined || registry !== undefined)) {
    return without(requests, 'its rules are about git, MCP or a registry: change them by hand');
  }
  const { usable, leftOut } = sort(rules, requests, options);
  const [one] = usable;
  if (one === undefined) {
    return { ...nothing, leftOut };
  }
  // A rule in a file takes the place of a preset's for the same host, and says so only if it names functions.
  const preset = decisive.filter(({ origin, host }) => origin.layer === 'preset' && host.kind === 'exact');
  const wanted = wantedFunctions(rules, usable, options);
  const { steps } = wanted;
  const isWhole = wanted.functions === 'all';
  const functions = wanted.functions === 'all' && preset.length > 0 ? [{ methods: undefined, path: '/**' }] : wanted.functions;
  const grant = grantRule(rules, one, { id: 'proposed', functions });
  if ('fault' in grant || !isWithinBound(grant.rule, options.bound)) {
    return without(requests, 'fault' in grant ? grant.fault : 'the organisation does not allow it');
  }
  const repeated = [...grant.kept, ...preset].map((rule) => ({ ...rule, ports: [one.port] }));
  return {
    rules: isWhole ? written(grant.rule) : merge([...repeated, grant.rule]).flatMap(written),
    words: [ruleWords(grant.rule)],
    steps,
    leftOut,
    covered: usable,
  };
}

/** Rules for one host and port that differ in their functions alone, as one. */
function merge(rules: readonly NetworkRule[]): readonly NetworkRule[] {
  const [first] = rules;
  const functions = rules.map(({ http }) => http);
  const isAlike = rules.every((rule) => rule.credential === first?.credential);
  return first === undefined || !isAlike || functions.includes(undefined)
    ? rules
    : [{ ...first, host: rules.at(-1)?.host ?? first.host, http: functions.flatMap((http) => http ?? []) }];
}

function without(requests: readonly DeniedRequest[], why: string): Proposal {
  return { ...nothing, leftOut: requests.map((request) => ({ asked: askedWords(request), why })) };
}

interface Sorted {
  readonly usable: readonly DeniedRequest[];
  readonly leftOut: Proposal['leftOut'];
}

/** What a rule can be made for. A host where only connections were seen gets one for everything: nothing more is known. */
function sort(rules: readonly NetworkRule[], requests: readonly DeniedRequest[], { bound, functions }: ProposeOptions): Sorted {
  const faults = requests.map((request) => {
    const why = mayBeGranted(rules, request, bound) ? undefined : 'the organisation does not allow it';
    const grant = grantRule(rules, request, { id: '', functions });
    return { request, why: why ?? ('fault' in grant ? grant.fault : undefined) };
  });
  const usable = faults.filter(({ why }) => why === undefined).map(({ request }) => request);
  const isTold = usable.some(({ method }) => method !== undefined);
  const silent = isTold ? usable.filter(({ method }) => method === undefined) : [];
  return {
    usable: isTold ? usable.filter(({ method }) => method !== undefined) : usable,
    leftOut: [
      ...faults.flatMap(({ request, why }) => (why === undefined ? [] : [{ asked: askedWords(request), why }])),
      ...silent.map((request) => ({ asked: askedWords(request), why: 'nothing was seen of what it would ask' })),
    ],
  };
}

function wantedFunctions(
  rules: readonly NetworkRule[],
  usable: readonly DeniedRequest[],
  { bound, functions }: ProposeOptions,
): { readonly functions: readonly HttpAllowance[] | 'all'; readonly steps: readonly string[] } {
  if (functions !== undefined) {
    return { functions, steps: [] };
  }
  const seen = usable.flatMap(({ method, path }): readonly SeenFunction[] => {
    const canonical = path === undefined ? undefined : canonicalPath(path);
    return method === undefined || canonical === undefined ? [] : [{ method, path: canonical }];
  });
  const [one] = usable;
  if (seen.length === 0 || one === undefined) {
    return { functions: 'all', steps: [] };
  }
  const general = generalisePaths(seen);
  const grant = grantRule(rules, one, { id: '', functions: general.functions });
  // What is general may be more than an organisation allows where each single thing is not.
  return 'rule' in grant && isWithinBound(grant.rule, bound)
    ? general
    : { functions: seen.map(({ method, path }) => ({ methods: [method], path })), steps: [] };
}

function written({ host, ports, credential, http, upstream }: NetworkRule): readonly WrittenForm[] {
  const base = {
    host: formatHostPattern(host),
    ...(ports.length === 1 && ports[0] === 443 ? {} : { ports }),
    ...(credential === undefined ? {} : { credential }),
  };
  const redirected = upstream === undefined ? {} : { upstream };
  if (http === undefined) {
    return [{ ...base, ...redirected }];
  }
  const lines = [...new Set(http.map(formatAllowance))];
  const chunks = Array.from({ length: Math.ceil(lines.length / functionsInRule) }, (_, index) =>
    lines.slice(index * functionsInRule, (index + 1) * functionsInRule),
  );
  return chunks.map((allow) => ({ ...base, allow, ...redirected }));
}

/** Safe to show only through `visible`. */
function askedWords({ host, port, method, path }: DeniedRequest): string {
  return method === undefined ? `a connection to ${host}:${port}` : `${method} ${host}:${port}${path ?? ''}`;
}
