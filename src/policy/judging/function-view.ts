import { canonicalPath } from '../matching/canonical-path.ts';
import { hasFunctions } from './functions.ts';
import type { RequestLine } from './request-line.ts';
import { gitGrants, mayPush, readGitRequest, type GitRequestKind } from './git-request.ts';
import { compileGlob, matchPath, type PathGlob } from '../matching/match-path.ts';
import type { GitAllowance, HttpAllowance, McpAllowance, NetworkRule } from '../policy.ts';
import { isRegistryRead } from './registry-path.ts';

/** What one rule says about one request: yes, no, or "the content decides". */

export type ContentKind = 'git-push' | 'lfs-batch' | 'mcp';

export interface Asked {
  readonly request: RequestLine;
  /** canonical; `undefined`: servers may read it in different ways */
  readonly path: string | undefined;
}

export function readRequest(request: RequestLine): Asked {
  return { request, path: canonicalPath(request.path) };
}

export type View = 'allow' | 'deny' | ContentKind;

/** What one rule says about a request. */
export function viewOf(rule: NetworkRule, asked: Asked): View {
  if (!hasFunctions(rule)) {
    return 'allow';
  }
  const git = rule.git === undefined ? undefined : viewOfGit(rule, asked);
  const mcp = rule.mcp === undefined ? undefined : viewOfMcp(rule.mcp, asked);
  return git ?? mcp ?? (isFunctionOf(rule, asked) ? 'allow' : 'deny');
}

/** `undefined`: it is no matter of git, or a read that other functions may still allow. */
function viewOfGit(rule: NetworkRule, { request, path }: Asked): View | undefined {
  const git = readGitRequest(request);
  if (git === undefined) {
    // Beside repositories a path that servers may read apart is not let through by `/**`.
    return path === undefined ? 'deny' : undefined;
  }
  const grants = gitGrants(rule, git.repository);
  return git.kind === 'read' && grants.length === 0 ? undefined : gitViews[git.kind](grants);
}

const gitViews: Readonly<Record<GitRequestKind, (grants: readonly GitAllowance[]) => View>> = {
  read: () => 'allow',
  'lfs-batch': (grants) => (grants.length > 0 ? 'lfs-batch' : 'deny'),
  push: (grants) => (mayPush(grants) ? 'git-push' : 'deny'),
  'push-discovery': (grants) => (mayPush(grants) ? 'allow' : 'deny'),
  'lfs-write': (grants) => (mayPush(grants) ? 'allow' : 'deny'),
  unclear: () => 'deny',
};

function viewOfMcp({ path: endpoint }: McpAllowance, { path, request }: Asked): View | undefined {
  if (path === undefined) {
    return 'deny';
  }
  if (!matchPath(compileGlob(endpoint), path)) {
    // Where a server might take it for the endpoint no other function lets it through.
    return matchPath(compileGlob(loosely(endpoint)), loosely(path)) ? 'deny' : undefined;
  }
  if (request.method === 'POST') {
    return 'mcp';
  }
  // The stream of the server's messages, and the end of the session.
  return request.method === 'GET' || request.method === 'DELETE' ? 'allow' : 'deny';
}

/** Without case, parameters and a slash at the end, all of which some servers pass over. */
function loosely(path: string): string {
  return path
    .toLowerCase()
    .replaceAll(/;[^/]*/g, '')
    .replace(/\/+$/, '');
}

function isFunctionOf({ http, registry }: NetworkRule, { request, path }: Asked): boolean {
  return (
    (http?.some((one) => isMethodOf(one, request.method) && isPathOf(one, path, request)) ?? false) ||
    (registry !== undefined && isRegistryRead(registry, request))
  );
}

const compiled = new WeakMap<HttpAllowance, PathGlob>();

function isMethodOf({ methods }: HttpAllowance, method: string): boolean {
  return methods === undefined || methods.includes(method);
}

function isPathOf(allowance: HttpAllowance, path: string | undefined, request: RequestLine): boolean {
  if (path === undefined) {
    return allowance.path === '/**' && request.path.startsWith('/');
  }
  const glob = compiled.get(allowance) ?? compileGlob(allowance.path);
  compiled.set(allowance, glob);
  return matchPath(glob, path);
}
