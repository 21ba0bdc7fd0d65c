import { canonicalPath } from '../matching/canonical-path.ts';
import type { RequestLine } from './request-line.ts';
import { compileGlob, matchPath } from '../matching/match-path.ts';
import type { GitAllowance, NetworkRule } from '../policy.ts';

/**
 * What a request asks of a git server (gitprotocol-http(5), and the batch API of git-lfs): which repository, and whether it
 * reads or writes. Judged by method, path and query alone; a request that is neither clearly a read nor clearly a write is
 * `unclear`.
 */
export interface GitRequest {
  /** without leading slash and without `.git` */
  readonly repository: string;
  readonly kind: GitRequestKind;
}

export type GitRequestKind =
  /** references and objects: clone, fetch, large files downloaded */
  | 'read'
  /** the list of references that a push begins with */
  | 'push-discovery'
  /** the push itself: its content names the references */
  | 'push'
  /** large files: the content says whether they are read or written */
  | 'lfs-batch'
  | 'lfs-write'
  | 'unclear';

const reads =
  /^\/(.+?)\/(?:HEAD|objects\/(?:info\/[a-z-]+|[0-9a-f]{2}\/[0-9a-f]{38,62}|pack\/pack-[0-9a-f]{40,64}\.(?:pack|idx)))$/;

/** `undefined`: nothing of git's. */
export function readGitRequest({ method, path: target }: RequestLine): GitRequest | undefined {
  const path = canonicalPath(target);
  if (path === undefined) {
    return isPushShaped(target) ? { repository: '', kind: 'unclear' } : undefined;
  }
  return readService(method, path, queryOf(target)) ?? readRest(method, path);
}

function readService(method: string, path: string, query: string | undefined): GitRequest | undefined {
  const [, place = '', service = ''] = /^\/(.+)\/(info\/refs|git-upload-pack|git-receive-pack)$/.exec(path) ?? [];
  if (service !== '') {
    return { repository: bareName(place), kind: serviceKind(method, service, query) };
  }
  const [, origin = '', rest = ''] = /^\/(.+?)\/info\/lfs\/(.+)$/.exec(path) ?? [];
  return rest === '' ? undefined : { repository: bareName(origin), kind: lfsKind(method, rest) };
}

function readRest(method: string, path: string): GitRequest | undefined {
  if (isPushShaped(path)) {
    return { repository: '', kind: 'unclear' };
  }
  const read = reads.exec(path)?.[1];
  return read !== undefined && isRead(method) ? { repository: bareName(read), kind: 'read' } : undefined;
}

function serviceKind(method: string, service: string, query: string | undefined): GitRequestKind {
  if (service === 'info/refs') {
    const kinds: Readonly<Record<string, GitRequestKind>> = {
      'service=git-upload-pack': 'read',
      'service=git-receive-pack': 'push-discovery',
    };
    return isRead(method) ? (query === undefined ? 'read' : (kinds[query] ?? 'unclear')) : 'unclear';
  }
  if (method !== 'POST' || query !== undefined) {
    return 'unclear';
  }
  return service === 'git-upload-pack' ? 'read' : 'push';
}

function lfsKind(method: string, rest: string): GitRequestKind {
  if (rest === 'objects/batch') {
    return method === 'POST' ? 'lfs-batch' : 'unclear';
  }
  return isRead(method) ? 'read' : 'lfs-write';
}

function isRead(method: string): boolean {
  return method === 'GET' || method === 'HEAD';
}

function queryOf(target: string): string | undefined {
  const start = target.indexOf('?');
  return start === -1 ? undefined : target.slice(start + 1);
}

/** Also where a server might read it so: in other case, escaped, with parameters, with more behind it. */
function isPushShaped(path: string): boolean {
  const decoded = path.replaceAll(/%(?:25)*([0-9a-fA-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return /git-receive-pack|\/info\/+lfs(?:[/;?]|$)/i.test(decoded);
}

function bareName(path: string): string {
  return path.replace(/\.git$/i, '');
}

/** Forges that do not tell the case of owner and repository apart; elsewhere they are two repositories. */
const caseless: ReadonlySet<string> = new Set(['github.com', 'gitlab.com', 'bitbucket.org', 'codeberg.org']);

/** What a rule grants at one repository. */
export function gitGrants({ git = [], host }: NetworkRule, repository: string): readonly GitAllowance[] {
  const isCaseless = caseless.has(host.host);
  const fold = (text: string): string => (isCaseless ? text.toLowerCase() : text);
  return git.filter((one) => matchPath(compileGlob(fold(one.repository)), fold(repository)));
}

export function mayPush(grants: readonly GitAllowance[]): boolean {
  return grants.some(({ push }) => push.length > 0);
}
