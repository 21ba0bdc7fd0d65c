import { ecosystems, type Ecosystem } from '../../policy/guards.ts';
import type { Exchange } from '../exchange.ts';
import type { Plan } from '../exchange/judge.ts';
import { tokensOf, valuesOf, type Field } from '../http/fields.ts';
import type { Site } from '../live-sandbox.ts';
import { refuse, type Refusal } from '../refusal.ts';
import type { UpstreamAnswer } from '../upstream/upstream-request.ts';
import {
  filterAnswer,
  reasonFor,
  simpleJson,
  withheldRefusal,
  type Asked,
  type FetchMore,
  type PackageAnswer,
} from './filter-metadata.ts';
import { keepingOf } from './package-keeping.ts';
import { packageRequest, type PackageRequest } from './package-request.ts';
import { blockedBecause, isLocked, youngBecause } from './package-verdict.ts';

/**
 * Guards the answers of package registries: versions that are too new or listed are not offered, and their archives are refused.
 */
export interface PackageGuard {
  /** the request's fields, so that the answer says when versions were published */
  readonly fields: readonly Field[];
  /** whether the answer has to be in the clear */
  readonly reads: boolean;
  readonly answered: (answer: UpstreamAnswer, fetch: FetchMore) => Promise<PackageAnswer | Refusal>;
}

/** `undefined`: no package is asked for, or no rule is about packages. A refusal: it is withheld, and nothing is sent. */
export function packageGuard(exchange: Exchange, site: Site, plan: Plan): PackageGuard | Refusal | undefined {
  const { live } = site;
  const { guarding } = live.sandbox;
  const ecosystem = ecosystemOf(exchange, site, plan);
  if (guarding === undefined || guarding.rules.packages.length === 0 || ecosystem === undefined) {
    return undefined;
  }
  const request = packageRequest(ecosystem, plan.head.path);
  if (request === undefined || (exchange.method !== 'GET' && exchange.method !== 'HEAD')) {
    return undefined;
  }
  if (request.kind === 'unclear') {
    return refuse('package-withheld', 'its address can be read in two ways, so it cannot be told which package it is of');
  }
  const context = { rules: guarding.rules.packages, locked: guarding.locked, nowMs: live.clock.nowMs() };
  const asked: Asked = { exchange, live, request, context };
  return request.kind === 'metadata' ? metadataGuard(asked) : archiveGuard(asked, request);
}

/** Known by the preset that names the host or by the policy's list; only elsewhere by what the client says it wants. */
function ecosystemOf({ fields }: Exchange, { host, live }: Site, { rule, head }: Plan): Ecosystem | undefined {
  const registries = live.sandbox.guarding?.rules.registries ?? [];
  const accepted = tokensOf(fields, 'accept');
  const known = ecosystems.filter(
    (one) =>
      (rule.origin.layer === 'preset' && rule.origin.source === one) ||
      registries.some((registry) => registry.host === host && registry.ecosystem === one),
  );
  const [first, second] =
    known.length > 0 ? known : ecosystems.filter((one) => accepted.some((type) => type.startsWith(vendorTypes[one])));
  if (second === undefined) {
    return first;
  }
  // A host of both: every path of npm could be metadata, those of Python are known by their form.
  return packageRequest('pypi', head.path) === undefined || head.path.includes('/-/') ? 'npm' : 'pypi';
}

const vendorTypes: Readonly<Record<Ecosystem, string>> = {
  npm: 'application/vnd.npm.install',
  pypi: 'application/vnd.pypi.simple',
};

const conditional = new Set([
  'if-none-match',
  'if-modified-since',
  'if-match',
  'if-unmodified-since',
  'range',
  'if-range',
  'accept-encoding',
  'accept',
]);
function metadataGuard(asked: Asked): PackageGuard {
  const { exchange, request } = asked;
  const isSimple = request.ecosystem === 'pypi' && /\/simple\//.test(exchange.target);
  // The short form of npm does not say when versions were published.
  const accept = isSimple ? `${simpleJson}, text/html;q=0.1` : 'application/json';
  const kept = exchange.fields.filter(([name]) => !conditional.has(name));
  return {
    fields: [...kept, ['accept', accept], ['accept-encoding', 'gzip']],
    reads: true,
    answered: (answer, fetch) => filterAnswer(answer, asked, fetch),
  };
}

function archiveGuard(asked: Asked, request: Extract<PackageRequest, { kind: 'archive' }>): PackageGuard | Refusal {
  const { exchange, live, context } = asked;
  const { ecosystem, name, version, file } = request;
  const one = { ecosystem, name, version };
  const key = ecosystem === 'npm' ? `npm:${name}@${version}` : `pypi:${file}`;
  const judged = keepingOf(live).memory.judgement(key, context.nowMs);
  const blocked = blockedBecause(one, context);
  const known = blocked ?? (isLocked(one, context) ? undefined : typeof judged === 'object' ? judged.reason : undefined);
  if (known !== undefined) {
    return withheldRefusal(name, version, known);
  }
  return {
    fields: exchange.fields,
    reads: false,
    async answered(answer, fetch) {
      const publishedMs = Date.parse(valuesOf(answer.fields, 'last-modified').join());
      const young = youngBecause(one, publishedMs, context);
      if (young === undefined || answer.status >= 400 || answer.status === 304) {
        return { answer, detail: {} };
      }
      if (isLocked(one, context)) {
        return { answer, detail: { locked: true } };
      }
      if (judged === 'offered') {
        return { answer, detail: {} };
      }
      const reason = ecosystem === 'npm' ? await reasonFor(request, { live, context, fetch }) : young;
      return reason === undefined ? { answer, detail: {} } : withheldRefusal(name, version, reason);
    },
  };
}
