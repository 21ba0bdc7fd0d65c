import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { run } from '../../src/system/process.ts';
import { makeHome, wholeWayLacks, type Home, type Outcome } from '../helpers/cli.ts';
import { listen } from '../helpers/gateway-lab.ts';
import { hasGitBackend, serveGit } from '../helpers/git-backend.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

/** git, npm, curl and Python in a real sandbox, each finding a phantom where it looks; the servers take the real values alone. */

const tokens = {
  GH_TOKEN: 'ghp_REALrealREALrealREALrealREALrealRE01',
  NPM_TOKEN: 'npm_REALrealREALrealREALrealREALrealRE02',
  PYPI_TOKEN: 'pypi-REALrealREALrealREALrealREALrealREALreal03',
  SEARCH_KEY: 'searchREALrealREALreal04',
} as const;

const basic = (user: string, password: string): string => `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;

const packed = { name: 'left-alone', version: '1.0.0' };

const lacks = hasGitBackend ? await wholeWayLacks() : 'git-http-backend is not installed';

describe.skipIf(!engineOrSkip('oci', lacks))('tools in a sandbox', () => {
  let home: Home;
  let server: Server;
  let repositories = '';
  let tarball: Buffer = Buffer.alloc(0);
  const seen: { host: string; url: string; authorization: string }[] = [];

  function serve(request: IncomingMessage, response: ServerResponse): void {
    const { host = '', authorization = '' } = request.headers;
    const url = request.url ?? '';
    seen.push({ host, url, authorization });
    const wanted: Record<string, string | undefined> = {
      'github.com': basic('x-access-token', tokens.GH_TOKEN),
      'api.github.com': `Bearer ${tokens.GH_TOKEN}`,
      'npm.example.com': `Bearer ${tokens.NPM_TOKEN}`,
      'pypi.example.com': basic('__token__', tokens.PYPI_TOKEN),
      'search.example.com': '',
    };
    if (authorization !== wanted[host]) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end('who are you?');
      return;
    }
    switch (host) {
      case 'github.com':
        serveGit(request, response, repositories);
        return;
      case 'npm.example.com':
        serveNpm(url, response);
        return;
      case 'search.example.com':
        response.end(`found with ${url}`);
        return;
      default:
        response.end(`hello from ${host}`);
    }
  }

  function serveNpm(url: string, response: ServerResponse): void {
    if (url.endsWith('.tgz')) {
      response.end(tarball);
      return;
    }
    const dist = {
      tarball: 'https://npm.example.com/left-alone/-/left-alone-1.0.0.tgz',
      integrity: `sha512-${createHash('sha512').update(tarball).digest('base64')}`,
    };
    response.setHeader('content-type', 'application/json');
    response.end(
      JSON.stringify({ name: packed.name, 'dist-tags': { latest: '1.0.0' }, versions: { '1.0.0': { ...packed, dist } } }),
    );
  }

  beforeAll(async () => {
    home = await makeHome();
    repositories = join(home.root, 'repositories');
    await git(['init', '-q', '--bare', '-b', 'main', join(repositories, 'me/work.git')]);
    await mkdir(join(home.root, 'package'));
    await writeFile(join(home.root, 'package/package.json'), JSON.stringify(packed));
    await run('tar', ['-czf', join(home.root, 'p.tgz'), '-C', home.root, 'package'], { env });
    tarball = (await run('cat', [join(home.root, 'p.tgz')], { env })).stdout;
    server = createServer(serve);
    const upstream = `http://127.0.0.1:${await listen(server)}`;
    const bound = (host: string, credential: string): string =>
      `  - { host: ${host}, credential: ${credential}, upstream: "${upstream}" }\n`;
    await mkdir(home.paths.config, { recursive: true, mode: 0o700 });
    await writeFile(
      join(home.paths.config, 'policy.yaml'),
      `version: 1\nnetwork:\n${bound('github.com', 'github')}${bound('api.github.com', 'github')}${bound('npm.example.com', 'npm')}${bound('pypi.example.com', 'pypi')}${bound('search.example.com', 'search')}credentials:\n  search: { provider: query, source: { env: SEARCH_KEY }, query: { parameter: api_key }, variable: SEARCH_KEY }\n`,
    );
    expect(await home.casemate(['create', 'tools'], { env: tokens })).toMatchObject({ code: 0 });
    expect(await home.casemate(['start', 'tools'], { env: tokens })).toMatchObject({ code: 0, err: '' });
  });
  afterAll(async () => {
    server.close();
    server.closeAllConnections();
    await home.remove();
  });

  const env = { PATH: '/usr/bin:/bin' };
  const git = async (args: readonly string[]): Promise<string> => (await run('git', args, { env })).stdout.toString('utf8');
  const inside = async (script: string): Promise<Outcome> =>
    await home.casemate(['exec', 'tools', '--', 'sh', '-c', script], { timeoutMs: 90_000 });

  test('git clones by either form of an address, commits and pushes, with the token put in outside', async () => {
    const script = [
      'set -e; cd; git clone -q git@github.com:me/work.git; cd work',
      'git config user.email a@b.c; git config user.name a; echo hello >note; git add note; git commit -qm first',
      'git push -q origin HEAD:main; cd; git clone -q https://github.com/me/work second; cat second/note',
    ].join('\n');
    expect(await inside(script)).toMatchObject({ code: 0, out: 'hello\n' });
    expect(await git(['-C', join(repositories, 'me/work.git'), 'log', '--format=%s', 'main'])).toBe('first\n');
  });

  test('git that is asked for a password gives the phantom, which nobody but the gateway takes', async () => {
    const { out } = await inside('printf "protocol=https\\nhost=github.com\\n\\n" | git credential fill');
    expect(out).toMatch(/password=ghp_cmph[A-Za-z0-9]{32}\n/);
    expect(out).toContain('username=x-access-token\n');
  });

  test('npm views and installs a package', async () => {
    const script =
      'mkdir -p ~/app; cd ~/app; npm config set registry https://npm.example.com/; npm view left-alone version; npm install --no-audit --no-fund left-alone; ls node_modules';
    const { code, out, err } = await inside(script);
    expect({ code, err }).toMatchObject({ code: 0 });
    expect(out).toMatch(/^1\.0\.0\n[\s\S]*left-alone\n$/);
    expect((await inside('cat ~/.npmrc')).out).toMatch(/^\/\/npm\.example\.com\/:_authToken=npm_cmph[A-Za-z0-9]{32}\n/);
  });

  test('curl and Python find a user and a password in ~/.netrc', async () => {
    const python = 'import netrc; print(netrc.netrc().authenticators("pypi.example.com")[0])';
    const { out } = await inside(`curl -sn https://pypi.example.com/simple/; echo; python3 -c '${python}'`);
    expect(out).toBe('hello from pypi.example.com\n__token__\n');
  });

  test('the API takes the token as curl sends it, and one parameter of the query is replaced', async () => {
    const { out } = await inside(
      'curl -s -H "Authorization: token $GH_TOKEN" https://api.github.com/user; echo; curl -s "https://search.example.com/q?api_key=$SEARCH_KEY&q=x"',
    );
    expect(out).toContain('hello from api.github.com\nfound with /q?api_key=*');
    expect(seen.at(-1)?.url).toBe(`/q?api_key=${tokens.SEARCH_KEY}&q=x`);
  });

  test('another token than the phantom is refused, and no server sees it', async () => {
    const count = seen.length;
    const { out } = await inside(
      'curl -s -H "Authorization: token ghp_mine" https://api.github.com/user; git -c http.extraHeader="Authorization: Basic bWU6bWluZQ==" clone https://github.com/me/work ~/third 2>&1; curl -s "https://search.example.com/q?api_key=mine"',
    );
    expect(out.match(/foreign-key|403/g)?.length).toBeGreaterThanOrEqual(3);
    expect(seen.length).toBe(count);
  });

  test('no real value is anywhere inside', async () => {
    const { out } = await inside(
      'cd; env; cat .gitconfig .git-credentials .npmrc .netrc .pypirc .config/gh/hosts.yml; ls -l .netrc',
    );
    expect(out).toContain('oauth_token: ghp_cmph');
    expect(out).toMatch(/^-rw-------/m);
    for (const value of Object.values(tokens)) {
      expect(out).not.toContain(value);
    }
  });
});
