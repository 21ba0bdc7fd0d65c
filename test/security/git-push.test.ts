import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';

import type { GitAllowance } from '../../src/policy/policy.ts';
import { createLab, rule, type Lab } from '../helpers/gateway-lab.ts';
import { git, gitServer, type GitRun, type GitServer } from '../helpers/git-server.ts';
import { unusedPort } from '../helpers/unused-port.ts';

/** SEC-14 and pushes: a rule about git lets the real git clone, and push to what it names and to nothing else. */

const host = 'git.example.com';
const allowances: readonly GitAllowance[] = [
  { repository: 'team/open', push: ['refs/heads/agent/*', 'refs/tags/v*'], changes: ['create', 'update'] },
  { repository: 'team/scratch', push: ['refs/heads/**'], changes: ['create', 'update', 'delete'] },
  { repository: 'team/read', push: [], changes: ['create', 'update'] },
];

let lab: Lab;
let server: GitServer;
let port: number;
let work: string;
let root: string;

beforeAll(async () => {
  port = await unusedPort();
  lab = await createLab({ rules: [rule(host, { ports: [port], git: allowances })] });
  server = await gitServer(lab, { host, port, repositories: ['team/open', 'team/scratch', 'team/read', 'other/secret'] });
  await lab.openSame(host, port);
  root = await mkdtemp(join(tmpdir(), 'casemate-git-client-'));
  await writeFile(join(root, 'ca.pem'), lab.authority.certificatePem);
});
afterAll(async () => {
  await lab.close();
  await server.close();
  await rm(root, { recursive: true, force: true });
});
beforeEach(() => {
  server.sink.seen.length = 0;
});

function run(args: readonly string[], cwd = work, env: Record<string, string> = {}): Promise<GitRun> {
  const settings = ['-c', `http.sslCAInfo=${join(root, 'ca.pem')}`, '-c', `http.curloptResolve=${host}:${port}:127.0.0.1`];
  return git([...settings, ...args], { cwd, env });
}

async function cloned(name: string): Promise<GitRun> {
  work = await mkdtemp(join(root, 'work-'));
  return run(['clone', `https://${host}:${port}/${name}`, work]);
}

async function commit(): Promise<void> {
  await writeFile(join(work, 'file'), String(Math.random()));
  await run(['add', 'file']);
  await run(['commit', '-q', '-m', 'more']);
}

const posts = (): readonly string[] => server.sink.seen.filter(({ method }) => method === 'POST').map(({ url }) => url);

test.each(['team/open.git', 'team/open', 'team/read'])('clone and fetch of %s work', async (name) => {
  expect(await cloned(name)).toMatchObject({ code: 0 });
  expect(await run(['fetch', 'origin'])).toMatchObject({ code: 0 });
});

test.each([0, 1, 2])('a push to a named branch arrives (protocol version %i)', async (version) => {
  await cloned('team/open.git');
  await commit();
  const pushed = await run(['-c', `protocol.version=${version}`, 'push', 'origin', `HEAD:refs/heads/agent/v${version}`]);
  expect(pushed).toMatchObject({ code: 0 });
  expect(await server.refs('team/open')).toContain(`refs/heads/agent/v${version}\n`);
  await lab.settled();
  expect(lab.entries.findLast(({ action }) => action === 'net.open')?.detail).toMatchObject({
    asked: `create refs/heads/agent/v${version}`,
  });
});

test('a named tag and a large pack arrive, sent in chunks', async () => {
  await cloned('team/open.git');
  await writeFile(join(work, 'large'), Buffer.from(Array.from({ length: 400_000 }, () => Math.floor(Math.random() * 256))));
  await run(['add', 'large']);
  await run(['commit', '-q', '-m', 'large']);
  await run(['tag', 'v1']);
  expect(await run(['-c', 'http.postBuffer=65536', 'push', 'origin', 'v1', 'HEAD:refs/heads/agent/large'])).toMatchObject({
    code: 0,
  });
  expect(await server.refs('team/open')).toContain('refs/tags/v1\n');
});

test.each([
  ['another branch', ['HEAD:refs/heads/main2'], 'main2'],
  ['the main branch', ['HEAD:refs/heads/main'], 'main'],
  ['another tag', ['HEAD:refs/tags/other'], 'refs/tags/other'],
  ['a name outside of branches', ['HEAD:refs/notes/x'], 'refs/notes/x'],
  ['a deeper name than the star covers', ['HEAD:refs/heads/agent/a/b'], 'agent/a/b'],
])('a push to %s is refused, and git says why', async (_, refs, shown) => {
  await cloned('team/open.git');
  await commit();
  const before = await server.refs('team/open');
  server.sink.seen.length = 0;
  const { code, text } = await run(['push', 'origin', ...refs]);
  expect(code).toBe(1);
  expect(text).toContain('remote: casemate: blocked by the network policy of this sandbox');
  expect(text).toContain(`do not allow to ${refs[0]?.endsWith('/main') === true ? 'change' : 'create'} ${shown} in team/open`);
  expect(text).toMatch(/! \[remote rejected\].*\(not allowed by the policy of this sandbox\)/);
  expect(posts()).toEqual([]);
  expect(await server.refs('team/open')).toBe(before);
});

test('a push of a good and a bad reference is refused as a whole', async () => {
  await cloned('team/open.git');
  await commit();
  server.sink.seen.length = 0;
  const { code, text } = await run(['push', 'origin', 'HEAD:refs/heads/agent/good', 'HEAD:refs/heads/bad']);
  expect(code).toBe(1);
  expect(text).toContain('agent/good (not carried out, because of another reference of this push)');
  expect(posts()).toEqual([]);
  expect(await server.refs('team/open')).not.toContain('agent/good');
});

test.each(['HTTP/1.1', 'HTTP/2'])('a large push over %s that is refused shows its reason too', async (version) => {
  await cloned('team/open.git');
  await writeFile(join(work, 'large'), Buffer.from(Array.from({ length: 3_000_000 }, () => Math.floor(Math.random() * 256))));
  await run(['add', 'large']);
  await run(['commit', '-q', '-m', 'large']);
  server.sink.seen.length = 0;
  const { text } = await run(['-c', `http.version=${version}`, 'push', 'origin', 'HEAD:refs/heads/no']);
  expect(text).toContain('remote: casemate: blocked');
  // The empty list that git asks with before a large push changes nothing.
  expect(server.sink.seen.filter(({ method }) => method === 'POST').map(({ body }) => body)).toEqual(['0000']);
});

test('deleting is refused where it is not named, and works where it is', async () => {
  await cloned('team/open.git');
  await commit();
  await run(['push', 'origin', 'HEAD:refs/heads/agent/stays']);
  server.sink.seen.length = 0;
  const refused = await run(['push', 'origin', '--delete', 'agent/stays']);
  expect(refused.text).toContain('do not allow to delete agent/stays in team/open');
  expect(posts()).toEqual([]);
  await cloned('team/scratch.git');
  await commit();
  expect(await run(['push', 'origin', 'HEAD:refs/heads/a/b'])).toMatchObject({ code: 0 });
  expect(await run(['push', 'origin', '--delete', 'a/b'])).toMatchObject({ code: 0 });
  expect(await server.refs('team/scratch')).not.toContain('a/b');
});

test('a forced push to a named branch is an update like any other, and one elsewhere is refused', async () => {
  await cloned('team/open.git');
  await commit();
  await run(['push', 'origin', 'HEAD:refs/heads/agent/forced']);
  await run(['commit', '-q', '--amend', '-m', 'other']);
  expect(await run(['push', '--force', 'origin', 'HEAD:refs/heads/agent/forced'])).toMatchObject({ code: 0 });
  server.sink.seen.length = 0;
  expect((await run(['push', '--force', 'origin', 'HEAD:refs/heads/main'])).text).toContain('change main in team/open');
  expect(posts()).toEqual([]);
});

test.each(['team/read', 'other/secret'])('a push to %s does not get as far as its list of references', async (name) => {
  await cloned('team/open.git');
  await commit();
  server.sink.seen.length = 0;
  const { code, text } = await run(['push', `https://${host}:${port}/${name}.git`, 'HEAD:refs/heads/agent/x']);
  expect(code).toBe(128);
  expect(text).toContain('remote: casemate: blocked by the network policy of this sandbox');
  expect(server.sink.seen).toEqual([]);
});

test('a repository that no rule names cannot be cloned', async () => {
  const { code, text } = await cloned('other/secret.git');
  expect(code).toBe(128);
  expect(text).toContain('remote: casemate: blocked');
  expect(server.sink.seen).toEqual([]);
});

test('push options are not carried out', async () => {
  await cloned('team/open.git');
  await commit();
  server.sink.seen.length = 0;
  const { code } = await run(['push', '-o', 'ci.skip', 'origin', 'HEAD:refs/heads/agent/options']);
  expect(code).not.toBe(0);
  expect(posts()).toEqual([]);
});
