import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';

/** git's own server for repositories over HTTP, as a CGI program (RFC 3875) behind a server of the test. */
const program = '/usr/lib/git-core/git-http-backend';

export const hasGitBackend = existsSync(program);

/** `folder` holds bare repositories; pushing is allowed. */
export function serveGit(request: IncomingMessage, response: ServerResponse, folder: string): void {
  const url = new URL(request.url ?? '/', 'http://git');
  const child = spawn(program, [], {
    env: {
      GIT_PROJECT_ROOT: folder,
      GIT_HTTP_EXPORT_ALL: '1',
      GIT_CONFIG_COUNT: '2',
      GIT_CONFIG_KEY_0: 'http.receivepack',
      GIT_CONFIG_VALUE_0: 'true',
      GIT_CONFIG_KEY_1: 'safe.directory',
      GIT_CONFIG_VALUE_1: '*',
      PATH: '/usr/bin:/bin',
      REMOTE_USER: 'tester',
      REQUEST_METHOD: request.method ?? '',
      PATH_INFO: url.pathname,
      QUERY_STRING: url.search.slice(1),
      CONTENT_TYPE: request.headers['content-type'] ?? '',
      HTTP_CONTENT_ENCODING: request.headers['content-encoding'] ?? '',
      HTTP_GIT_PROTOCOL: String(request.headers['git-protocol'] ?? ''),
      ...(request.headers['content-length'] === undefined ? {} : { CONTENT_LENGTH: request.headers['content-length'] }),
    },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  request.pipe(child.stdin);
  child.stdin.on('error', () => undefined);
  const pieces: Buffer[] = [];
  child.stdout.on('data', (piece: Buffer) => pieces.push(piece));
  child.once('close', () => {
    const whole = Buffer.concat(pieces);
    const end = whole.indexOf('\r\n\r\n');
    const fields = whole
      .subarray(0, Math.max(0, end))
      .toString('latin1')
      .split('\r\n')
      .map((line) => /^([^:]+): *(.*)$/.exec(line) ?? []);
    const status = fields.find(([, name]) => name?.toLowerCase() === 'status')?.[2];
    response.statusCode = status === undefined ? 200 : Number.parseInt(status, 10);
    for (const [, name, value] of fields) {
      if (name !== undefined && value !== undefined && name.toLowerCase() !== 'status') {
        response.setHeader(name, value);
      }
    }
    response.end(whole.subarray(end + 4));
  });
}
