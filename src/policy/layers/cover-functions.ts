import { hasFunctions, type Functions } from '../judging/functions.ts';
import { isIncluded } from '../matching/glob-inclusion.ts';
import { compileGlob } from '../matching/match-path.ts';
import type { GitAllowance, HttpAllowance, McpAllowance } from '../policy.ts';
import { sessionMethods } from '../judging/mcp.ts';

/**
 * Tells whether the functions of some rules are covered by those of others. When in doubt it says no: that may refuse too much,
 * but never too little.
 */

/** One entry for each rule that decides about the same destination; they are united. */
export function areFunctionsWithin(lower: readonly Functions[], higher: readonly Functions[]): boolean {
  return (
    !higher.every(hasFunctions) ||
    lower.every(
      (one) =>
        hasFunctions(one) &&
        isHttpWithin(one, higher) &&
        isGitWithin(one, higher) &&
        isMcpWithin(one, higher) &&
        isRegistryWithin(one, higher),
    )
  );
}

function isHttpWithin(lower: Functions, higher: readonly Functions[]): boolean {
  return (lower.http ?? []).every((allowance) => {
    const reads = allowance.methods?.every((method) => method === 'GET' || method === 'HEAD') ?? false;
    const candidates = reads ? higher : higher.filter((one) => isGuardedNoMore(one, lower));
    return isAllowanceWithin(allowance, functionsIn(candidates));
  });
}

/** Beside `git` and `mcp` a path alone does not let everything through: a rule without them would. */
function isGuardedNoMore(higher: Functions, lower: Functions): boolean {
  return (
    (higher.git === undefined || lower.git !== undefined) && (higher.mcp === undefined || higher.mcp.path === lower.mcp?.path)
  );
}

function functionsIn(rules: readonly Functions[]): readonly HttpAllowance[] {
  return rules.flatMap(({ http }) => http ?? []);
}

function unguarded(rules: readonly Functions[]): readonly HttpAllowance[] {
  return functionsIn(rules.filter(({ git, mcp }) => git === undefined && mcp === undefined));
}

function isAllowanceWithin(lower: HttpAllowance, higher: readonly HttpAllowance[]): boolean {
  const methods: readonly (string | undefined)[] = lower.methods ?? [undefined];
  return methods.every((method) => {
    const candidates = higher.filter(
      (one) => one.methods === undefined || (method !== undefined && one.methods.includes(method)),
    );
    return isOneOf(
      lower.path,
      candidates.map(({ path }) => path),
    );
  });
}

function isGitWithin(lower: Functions, higher: readonly Functions[]): boolean {
  const above = higher.flatMap(({ git }) => git ?? []);
  return (lower.git ?? []).every((one) => {
    const paths = [`/${one.repository}/**`, `/${one.repository}.git/**`];
    const isCoveredByPath = paths.every((path) =>
      isAllowanceWithin({ methods: ['GET', 'HEAD', 'POST', 'PUT'], path }, unguarded(higher)),
    );
    return isCoveredByPath || isGitAllowanceWithin(one, above);
  });
}

function isGitAllowanceWithin({ repository, push, changes }: GitAllowance, above: readonly GitAllowance[]): boolean {
  const isAt = (places: readonly GitAllowance[]): boolean =>
    isOneOf(
      repository,
      places.map((place) => place.repository),
    );
  return (
    isAt(above) &&
    push.every((ref) =>
      changes.every((change) => isAt(above.filter((one) => one.changes.includes(change) && isOneOf(ref, one.push)))),
    )
  );
}

function isMcpWithin({ mcp }: Functions, higher: readonly Functions[]): boolean {
  if (mcp === undefined) {
    return true;
  }
  const whole: HttpAllowance = { methods: ['GET', 'POST', 'DELETE'], path: mcp.path };
  return (
    isAllowanceWithin(whole, unguarded(higher)) ||
    higher.some((one) => one.mcp !== undefined && isMcpAllowanceWithin(mcp, one.mcp))
  );
}

function isMcpAllowanceWithin(lower: McpAllowance, higher: McpAllowance): boolean {
  const areTools = higher.tools === undefined || (lower.tools?.every((tool) => isOneOf(tool, higher.tools ?? [])) ?? false);
  return isOneOf(lower.path, [higher.path]) && areTools && areMethodsWithin(lower, higher);
}

function areMethodsWithin(lower: McpAllowance, higher: McpAllowance): boolean {
  if (higher.tools === undefined && higher.methods === undefined) {
    return true;
  }
  const isWhole = lower.tools === undefined && lower.methods === undefined;
  return !isWhole && (lower.methods ?? []).every((method) => isOneOf(method, [...sessionMethods, ...(higher.methods ?? [])]));
}

function isRegistryWithin({ registry }: Functions, higher: readonly Functions[]): boolean {
  const everything: HttpAllowance = { methods: ['GET', 'HEAD'], path: '/**' };
  return (
    registry === undefined ||
    higher.some((one) => one.registry === registry) ||
    isAllowanceWithin(everything, functionsIn(higher))
  );
}

function isOneOf(glob: string, globs: readonly string[]): boolean {
  return isIncluded(compileGlob(glob), globs.map(compileGlob));
}
