import { canonicalPath } from '../matching/canonical-path.ts';
import type { Content } from '../judging/decide.ts';
import type { RefUpdate } from '../judging/git-content.ts';
import { readGitRequest, type GitRequest } from '../judging/git-request.ts';

/** The smallest rule that would have allowed a denied request, as one line of YAML for `network:`. */
export interface Denied {
  readonly host: string;
  readonly port: number;
  /** `undefined`: a connection of which no more is known */
  readonly request?: { readonly method: string; readonly path: string } | undefined;
  /** what the content asked for, where that decided */
  readonly content?: Content | undefined;
}

/** `undefined`: no rule names exactly this, e.g. a path that servers read in different ways. */
export function missingRule({ host, port, request, content }: Denied): string | undefined {
  const ports = port === 443 ? [] : [`ports: [${port}]`];
  const functions = request === undefined ? [] : functionsFor(request, content);
  return functions === undefined ? undefined : `{ ${[`host: ${host}`, ...ports, ...functions].join(', ')} }`;
}

function functionsFor(
  { method, path }: NonNullable<Denied['request']>,
  content: Content | undefined,
): readonly string[] | undefined {
  if (content?.kind === 'mcp') {
    return [`mcp: ${mcpFor(path, content)}`];
  }
  const git = readGitRequest({ method, path });
  if (git !== undefined) {
    return git.kind === 'unclear' || git.repository === '' ? undefined : [`git: [${gitFor(git, content)}]`];
  }
  const canonical = canonicalPath(path);
  // A star in a path would be a pattern in a rule.
  const isSayable =
    canonical !== undefined && !canonical.includes('*') && canonical.length <= 400 && /^[A-Z-]{1,32}$/.test(method);
  return isSayable ? [`allow: [${quoted(`${method} ${canonical}`)}]`] : undefined;
}

function gitFor({ repository, kind }: GitRequest, content: Content | undefined): string {
  const place = `repository: ${quoted(repository)}`;
  if (content?.kind === 'git-push') {
    const refs = content.updates.map(({ ref }) => quoted(ref.replace(/^refs\/heads\//, '')));
    return `{ ${place}, push: [${refs.join(', ')}]${changesFor(content.updates)} }`;
  }
  const isRead = kind === 'read' || (content?.kind === 'lfs-batch' && content.operation === 'download');
  return isRead ? `{ ${place} }` : `{ ${place}, push: [BRANCH] }`;
}

function changesFor(updates: readonly RefUpdate[]): string {
  const changes = [...new Set(updates.map(({ change }) => change))];
  return changes.includes('delete') ? `, changes: [${changes.join(', ')}]` : '';
}

function mcpFor(path: string, { calls }: Extract<Content, { kind: 'mcp' }>): string {
  const tools = [...new Set(calls.flatMap(({ tool }) => tool ?? []))].map(quoted);
  const methods = [...new Set(calls.flatMap(({ method, tool }) => (tool === undefined ? [method] : [])))].map(quoted);
  const named = methods.length === 0 ? '' : `, methods: [${methods.join(', ')}]`;
  return `{ path: ${quoted(path)}, tools: [${tools.join(', ')}]${named} }`;
}

/** Also a YAML string in double quotes (YAML 1.2 section 7.3.1). */
function quoted(text: string): string {
  return JSON.stringify(text);
}
