import { hasFunctions, type Functions } from './functions.ts';
import type { GitAllowance, HttpAllowance, McpAllowance } from '../policy.ts';

/** Writes the functions of a rule as text, one line each; short ones as they would stand in a policy file. */

/** `undefined`: everything. The lines are not made safe for a terminal. */
export function formatFunctions(functions: Functions): readonly string[] | undefined {
  if (!hasFunctions(functions)) {
    return undefined;
  }
  const { http, git, mcp, registry } = functions;
  return [
    ...(http ?? []).map(formatAllowance),
    ...(git ?? []).map(formatGit),
    ...(mcp === undefined ? [] : [formatMcp(mcp)]),
    ...(registry === undefined ? [] : [`reading ${registry} packages`]),
  ];
}

/** As in a policy file: `GET,HEAD /v1/**`. */
export function formatAllowance({ methods, path }: HttpAllowance): string {
  return methods === undefined ? path : `${methods.join(',')} ${path}`;
}

function formatGit({ repository, push, changes }: GitAllowance): string {
  const reading = `git clone and fetch of ${repository}`;
  const refs = push.map((ref) => ref.replace(/^refs\/heads\//, '')).join(', ');
  return push.length === 0 ? reading : `${reading}, push (${changes.join(', ')}) to ${refs}`;
}

function formatMcp({ path, tools, methods }: McpAllowance): string {
  const named = tools === undefined ? 'every tool' : tools.length === 0 ? 'no tool' : `the tools ${tools.join(', ')}`;
  const further = methods === undefined || methods.length === 0 ? '' : `, and ${methods.join(', ')}`;
  return `MCP at ${path}: ${tools === undefined && methods === undefined ? 'everything' : `${named}${further}`}`;
}
