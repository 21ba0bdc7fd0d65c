import { gzipSync } from 'node:zlib';

import { requestText } from '../clients/request-text.ts';

/** Requests of git's protocol over HTTP, byte by byte (gitprotocol-http(5), gitprotocol-pack(5)), right or wrong. */

const none = '0'.repeat(40);
const some = '1'.repeat(40);

export interface PushParts {
  readonly host: string;
  /** stands in the agent field of the capabilities, or in the query */
  readonly mark: string;
}

type Update = readonly [before: string, after: string, ref: string];

const create = (ref: string): Update => [none, some, ref];
const update = (ref: string): Update => [some, '2'.repeat(40), ref];
const remove = (ref: string): Update => [some, none, ref];

function line(text: string): string {
  return `${(text.length + 4).toString(16).padStart(4, '0')}${text}`;
}

function commands(updates: readonly Update[], capabilities: string): string {
  const lines = updates.map(([before, after, ref], index) =>
    line(`${before} ${after} ${ref}${index === 0 ? `\0${capabilities}` : ''}`),
  );
  return `${lines.join('')}0000`;
}

/** An empty pack, version 2. */
const pack = 'PACK\u0000\u0000\u0000\u0002\u0000\u0000\u0000\u0000' + '\u0002'.repeat(20);

/** Where `agent/*` of `team/open` alone may be pushed to: created and changed, not removed. */
export function legalPush({ host, mark }: PushParts): string {
  return push(host, 'team/open.git', content([create('refs/heads/agent/one'), update('refs/heads/agent/two')], mark));
}

function content(updates: readonly Update[], mark: string, more = ''): string {
  return commands(updates, `report-status agent=${mark}${more}`) + pack;
}

function push(host: string, repository: string, body: string, more: readonly string[] = []): string {
  const lines = ['Content-Type: application/x-git-receive-pack-request', ...more];
  return requestText({ host, method: 'POST', target: `/${repository}/git-receive-pack`, lines, body });
}

export function wrongPushes({ host, mark }: PushParts): Readonly<Record<string, string>> {
  const to = (...updates: readonly Update[]): string => push(host, 'team/open.git', content(updates, mark));
  const good = create('refs/heads/agent/one');
  const elsewhere = (repository: string): string => push(host, repository, content([good], mark));
  const bytes = content([create('refs/heads/main')], mark);
  return {
    'to another branch': to(create('refs/heads/main')),
    'to another branch that is there': to(update('refs/heads/main')),
    'to a deeper branch': to(create('refs/heads/agent/a/b')),
    'to a branch that begins alike': to(create('refs/heads/agent-x')),
    'to a tag': to(create('refs/tags/agent/x')),
    'to a note': to(create('refs/notes/agent')),
    'to HEAD': to(update('HEAD')),
    'to a name that climbs': to(create('refs/heads/agent/../main')),
    'to a name in capitals': to(create('REFS/HEADS/main')),
    'that removes a branch': to(remove('refs/heads/agent/one')),
    'to a good and a bad branch': to(good, create('refs/heads/main')),
    'to a bad branch behind an end': push(
      host,
      'team/open.git',
      commands([good], `report-status agent=${mark}`) + commands([create('refs/heads/main')], '') + pack,
    ),
    'with options': push(host, 'team/open.git', `${commands([good], `push-options agent=${mark}`)}${line('ci.skip')}0000${pack}`),
    'with a certificate': push(
      host,
      'team/open.git',
      `${line(`push-cert\0agent=${mark}`)}${line('certificate version 0.1\n')}${line('push-cert-end\n')}0000${pack}`,
    ),
    'compressed, to another branch': push(host, 'team/open.git', gzipSync(Buffer.from(bytes, 'latin1')).toString('latin1'), [
      'Content-Encoding: gzip',
      `User-Agent: ${mark}`,
    ]),
    'in chunks, to another branch': chunked(host, bytes),
    'that says to be something else': push(host, 'team/open.git', bytes).replace('x-git-receive-pack-request', 'json'),
    'with a query': legalPush({ host, mark }).replace('git-receive-pack HTTP', `git-receive-pack?${mark} HTTP`),
    'to a repository that may be read': elsewhere('team/read.git'),
    'to a repository of somebody else': elsewhere('other/open.git'),
    'to a repository in capitals': elsewhere('Team/Open.git'),
    'to a repository that climbs': elsewhere('team/open/../../other/open.git'),
    'to a repository behind an escaped slash': elsewhere('team/open%2f..%2f..%2fother/open.git'),
    'to a repository below': elsewhere('team/open.git/other.git'),
    'to a service in capitals': push(host, 'team/open.git', bytes).replace('git-receive-pack HTTP', 'Git-Receive-Pack HTTP'),
    'to a service that is escaped': push(host, 'team/open.git', bytes).replace(
      'git-receive-pack HTTP',
      'git-receive%2dpack HTTP',
    ),
  };
}

function chunked(host: string, body: string): string {
  const lines = ['Content-Type: application/x-git-receive-pack-request', 'Transfer-Encoding: chunked'];
  const head = requestText({ host, method: 'POST', target: '/team/open.git/git-receive-pack', lines });
  return `${head}${body
    .split('')
    .map((sign) => `1\r\n${sign}\r\n`)
    .join('')}0\r\n\r\n`;
}

/** Reads and other writes, where two repositories alone may be read. */
export function wrongGitRequests({ host, mark }: PushParts): Readonly<Record<string, string>> {
  const get = (target: string): string => requestText({ host, target, lines: [`User-Agent: ${mark}`] });
  const post = (target: string, body: string): string =>
    requestText({ host, method: 'POST', target, lines: [`User-Agent: ${mark}`, 'Content-Type: application/json'], body });
  const batch = JSON.stringify({ operation: 'upload', ref: { name: 'refs/heads/main' }, objects: [] });
  return {
    'the list of another repository': get('/other/secret.git/info/refs?service=git-upload-pack'),
    'the list of another repository, climbing': get('/team/open.git/../../other/secret.git/info/refs?service=git-upload-pack'),
    'the list of a push to what may be read': get('/team/read.git/info/refs?service=git-receive-pack'),
    'two services at once': get('/team/read.git/info/refs?service=git-upload-pack&service=git-receive-pack'),
    'a service that is escaped': get('/team/read.git/info/refs?service=git%2dreceive-pack'),
    'a page of the same repository': get('/team/open/settings'),
    'its settings, by POST': post('/team/open/settings/keys', '{}'),
    'large files for another branch': post('/team/open.git/info/lfs/objects/batch', batch),
    'large files for what may be read': post('/team/read.git/info/lfs/objects/batch', batch.replace('main', 'agent/one')),
    'locks of large files, where one may only read': post('/team/read.git/info/lfs/locks', '{}'),
  };
}

export function legalGitRequests({ host, mark }: PushParts): Readonly<Record<string, string>> {
  const get = (target: string): string => requestText({ host, target, lines: [`User-Agent: ${mark}`] });
  return {
    'the list of a repository that may be read': get('/team/read.git/info/refs?service=git-upload-pack'),
    'the list of a push': get('/team/open.git/info/refs?service=git-receive-pack'),
  };
}
