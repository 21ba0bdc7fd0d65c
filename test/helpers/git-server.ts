import { execFile, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { sinkAt, type Sink } from './sink.ts';
import type { Lab } from './gateway-lab.ts';

/** A git server behind the gateway of a lab: git's own `http-backend`, which accepts every push it gets. */
export interface GitServer {
  readonly sink: Sink;
  /** references of a repository as `name id` lines */
  readonly refs: (repository: string) => Promise<string>;
  readonly close: () => Promise<void>;
}

export interface GitRun {
  readonly code: number;
  readonly text: string;
}

const environment = {
  PATH: '/usr/bin:/bin',
  HOME: '/nonexistent',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_TERMINAL_PROMPT: '0',
  GIT_AUTHOR_NAME: 'a',
  GIT_AUTHOR_EMAIL: 'a@example.com',
  GIT_COMMITTER_NAME: 'a',
  GIT_COMMITTER_EMAIL: 'a@example.com',
};

/** Ends with whatever git says; never rejects. */
export async function git(
  args: readonly string[],
  options: { readonly cwd?: string; readonly env?: Record<string, string> } = {},
): Promise<GitRun> {
  return new Promise((resolve) => {
    execFile(
      'git',
      args,
      { cwd: options.cwd, env: { ...environment, ...options.env }, timeout: 50_000 },
      (error, stdout, stderr) => resolve({ code: error === null ? 0 : Number(error.code ?? 1), text: `${stdout}${stderr}` }),
    );
  });
}

export interface GitPlace {
  readonly host: string;
  readonly port: number;
  readonly repositories: readonly string[];
}

/** Bare repositories, each with one commit on `main`, served as `https://HOST/NAME.git`. */
export async function gitServer(lab: Lab, { host, port, repositories }: GitPlace): Promise<GitServer> {
  const root = await mkdtemp(join(tmpdir(), 'casemate-git-'));
  for (const name of repositories) {
    await createRepository(join(root, `${name}.git`));
  }
  const sink = await sinkAt(lab, host, port, {
    respond: (request, response) => runBackend(root, request as IncomingMessage, response),
  });
  return {
    sink,
    refs: async (name) => (await git(['for-each-ref', '--format=%(refname)'], { cwd: join(root, `${name}.git`) })).text,
    async close() {
      sink.close();
      await rm(root, { recursive: true, force: true });
    },
  };
}

async function createRepository(path: string): Promise<void> {
  const run = promisify(execFile);
  await run('git', ['init', '-q', '--bare', '-b', 'main', path], { env: environment });
  await run('git', ['config', 'http.receivepack', 'true'], { cwd: path, env: environment });
  // The tree of nothing, which every repository has.
  const { stdout } = await run('git', ['commit-tree', '-m', 'first', '4b825dc642cb6eb9a060e54bf8d69288fbee4904'], {
    cwd: path,
    env: environment,
  });
  await run('git', ['update-ref', 'refs/heads/main', stdout.trim()], { cwd: path, env: environment });
}

/** The interface of RFC 3875, as far as git uses it. */
function runBackend(root: string, request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url ?? '/', 'http://x');
  const child = spawn('git', ['http-backend'], {
    env: {
      ...environment,
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: '1',
      REQUEST_METHOD: request.method ?? '',
      PATH_INFO: decodeURIComponent(url.pathname),
      QUERY_STRING: url.search.slice(1),
      CONTENT_TYPE: request.headers['content-type'] ?? '',
      HTTP_CONTENT_ENCODING: request.headers['content-encoding'] ?? '',
      GIT_PROTOCOL: String(request.headers['git-protocol'] ?? ''),
      REMOTE_ADDR: '127.0.0.1',
    },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const parts: Buffer[] = [];
  child.stdin.on('error', () => undefined);
  request.pipe(child.stdin);
  child.stdout.on('data', (piece: Buffer) => parts.push(piece));
  child.once('close', () => {
    const all = Buffer.concat(parts);
    const end = all.indexOf('\r\n\r\n');
    const rows = all
      .subarray(0, end)
      .toString('latin1')
      .split('\r\n')
      .map((row) => row.split(': ', 2));
    for (const [name = '', value = ''] of rows) {
      if (name.toLowerCase() === 'status') {
        response.statusCode = Number.parseInt(value, 10);
      } else {
        response.setHeader(name, value);
      }
    }
    response.end(all.subarray(end + 4));
  });
}
