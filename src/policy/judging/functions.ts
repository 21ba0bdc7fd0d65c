import type { NetworkRule } from '../policy.ts';

/** `allow`, `git` and `mcp` together are one statement: a rule that writes any of them allows only what they name. */
export type Functions = Pick<NetworkRule, 'http' | 'git' | 'mcp' | 'registry'>;

export function hasFunctions({ http, git, mcp, registry }: Functions): boolean {
  return http !== undefined || git !== undefined || mcp !== undefined || registry !== undefined;
}

export function functionsOf({ http, git, mcp, registry }: Functions): Functions {
  return {
    http,
    ...(git === undefined ? {} : { git }),
    ...(mcp === undefined ? {} : { mcp }),
    ...(registry === undefined ? {} : { registry }),
  };
}
