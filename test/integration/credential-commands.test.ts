import { createServer, type IncomingMessage, type Server } from 'node:http';
import { chmod, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import type { CredentialView } from '../../src/sandbox/credential-calls/list-credentials.ts';
import { makeHome, type CallOptions, type Home } from '../helpers/cli.ts';
import { listen } from '../helpers/gateway-lab.ts';

/** `casemate credentials`: the commands as a person calls them, with good and bad input and with no daemon. */

let home: Home;
let server: Server;
const seen: string[] = [];

beforeAll(async () => {
  home = await makeHome();
  server = createServer((request: IncomingMessage, response) => {
    seen.push(`${request.url ?? ''} ${request.headers.authorization ?? ''}`);
    response.writeHead(request.url === '/denied' ? 401 : request.url === '/broken' ? 500 : 200).end('{}');
  });
  const port = await listen(server);
  await mkdir(home.paths.config, { recursive: true, mode: 0o700 });
  const rule = (host: string, credential: string) =>
    `  - { host: ${host}, credential: ${credential}, upstream: "http://127.0.0.1:${port}" }\n`;
  await writeFile(
    join(home.paths.config, 'policy.yaml'),
    `version: 1\ncredentials:\n  gitlab: { provider: bearer, source: { stored: gitlab }, hosts: [gitlab.example.com] }\n  printed: { provider: bearer, source: { command: [printf, of-a-program] }, hosts: [printed.example.com] }\n  filed: { provider: bearer, source: { file: ${join(home.root, 'open-token')} }, hosts: [filed.example.com] }\n  unhosted: { provider: bearer, source: { stored: unhosted } }\nnetwork:\n${rule('gitlab.example.com', 'gitlab')}${rule('unhosted.example.com', 'unhosted')}${rule('printed.example.com', 'printed')}${rule('sts.us-east-1.amazonaws.com', 'aws')}${rule('api.github.com', 'github')}`,
  );
}, 120_000);

afterAll(async () => {
  await home.remove();
  server.close();
});

const credentials = (args: readonly string[], options: CallOptions = {}) => home.casemate(['credentials', ...args], options);

async function view(name: string, env: Record<string, string> = {}): Promise<CredentialView | undefined> {
  const { out } = await credentials(['ls', '--json'], { env });
  return (JSON.parse(out) as CredentialView[]).find((one) => one.name === name);
}

test('set, ls and rm with no daemon running before', async () => {
  expect((await home.casemate(['daemon', 'status', '--json'])).out).toContain('null');
  const set = await credentials(['set', 'gitlab'], { input: 'glpat-one\n' });
  expect(set).toMatchObject({ code: 0, err: '' });
  expect(await view('gitlab')).toMatchObject({ provider: 'bearer', hosts: ['gitlab.example.com'], revoked: [], sandboxes: [] });
  const again = await credentials(['set', 'gitlab', '--json'], { input: 'glpat-two' });
  expect(JSON.parse(again.out)).toMatchObject({ name: 'gitlab', replaced: true, keyPlace: 'file' });
  expect((await view('gitlab'))?.rotatedAt).toBeDefined();
  const unconfirmed = await credentials(['rm', 'gitlab']);
  expect([unconfirmed.code, unconfirmed.err]).toEqual([2, expect.stringContaining('nothing was changed')]);
  expect((await credentials(['rm', 'gitlab', '--confirm', 'gitlab'])).out).toContain('removed: sealed value "gitlab"');
  expect((await view('gitlab'))?.sources).toMatchObject([{ kind: 'stored', has: 'no' }]);
}, 120_000);

test('a value comes from a variable, a private file or a command, and from one of them', async () => {
  expect((await credentials(['set', 'gitlab', '--from-env', 'TOKEN'], { env: { TOKEN: 'of-env' } })).code).toBe(0);
  const file = join(home.root, 'token');
  await writeFile(file, 'of-file\n', { mode: 0o644 });
  const open = await credentials(['set', 'gitlab', '--from-file', file]);
  expect([open.code, open.err]).toEqual([125, expect.stringContaining('chmod 600')]);
  expect((await credentials(['set', 'gitlab', '--from-command', '--', 'printf', 'of-command'])).code).toBe(0);
  await credentials(['test', 'gitlab', '--path', '/who']);
  expect(seen.at(-1)).toBe('/who Bearer of-command');
  expect((await credentials(['set', 'gitlab', '--from-env', 'TOKEN', '--from-command', '--', 'true'])).code).toBe(2);
  expect((await credentials(['set', 'gitlab', '--from-command'])).code).toBe(2);
  expect((await credentials(['set', 'gitlab', '--', 'printf', 'x'])).code).toBe(2);
}, 120_000);

test('a file that others can read is not shown as there, and why is said', async () => {
  const file = join(home.root, 'open-token');
  await writeFile(file, 'of-file\n', { mode: 0o644 });
  expect((await view('filed'))?.sources).toMatchObject([
    { has: 'no', text: expect.stringContaining('refused: it can be read or changed by others') },
  ]);
  await chmod(file, 0o600);
  expect((await view('filed'))?.sources).toMatchObject([{ has: 'yes', text: `file ${file}` }]);
}, 120_000);

test('what is sealed under a name that no policy defines is told of, with what to write; so is a value too short to be found', async () => {
  const set = await credentials(['set', 'forge', '--provider', 'bearer'], { input: 'short' });
  const definition = 'credentials: { forge: { provider: bearer, source: { stored: forge } } }';
  expect(set.err).toContain(`No rule can name it before your policy says: ${definition}`);
  expect(set.err).toContain('It is shorter than 8 characters');
  await writeFile(join(home.project, 'casemate.yaml'), 'version: 1\nnetwork: [{ host: forge.example.com, credential: forge }]\n');
  const check = await home.casemate(['policy', 'check']);
  expect([check.code, check.err]).toEqual([2, expect.stringContaining(`A value of this name is sealed.`)]);
  expect(check.err).toContain(definition);
  await rm(join(home.project, 'casemate.yaml'));
  const removal = await credentials(['rm', 'forge']);
  expect([removal.code, removal.err]).toEqual([
    2,
    expect.stringContaining('nothing was changed: there is no terminal to ask at'),
  ]);
  expect((await credentials(['rm', 'forge', '--confirm', 'forge'])).code).toBe(0);
}, 120_000);

test.each([
  ['a value as an argument', ['set', 'gitlab', 'glpat-typed'], 2, 'a value must not be an argument'],
  ['a value in the place of the name', ['set', 'GLPAT_typed'], 2, 'this is not the name of a credential'],
  ['no name', ['set'], 2, 'NAME is missing'],
  ['an unknown provider', ['set', 'gitlab', '--provider', 'nope'], 2, 'there is no provider "nope"'],
  ['a host that is none', ['set', 'gitlab', '--host', 'a b'], 2, 'is not a host name'],
  ['an unknown name', ['test', 'gitlub'], 2, 'there is no credential "gitlub"'],
  ['a provider without a call', ['test', 'pypi'], 2, 'there is no call that only tries'],
  ['a host of somebody else', ['test', 'gitlab', '--path', '/', '--host', 'evil.example'], 2, 'is not a host of'],
  ['a path that is none', ['test', 'gitlab', '--path', 'x'], 2, 'is not a path'],
  ['a sandbox that is not there', ['revoke', 'gitlab', '--sandbox', 'nosuch'], 2, 'no sandbox is named "nosuch"'],
  ['nothing to remove', ['rm', 'npm', '--confirm', 'npm'], 2, 'nothing is sealed under the name "npm"'],
])(
  '%s is refused in one clear line, and what was typed is not repeated',
  async (_, args, code, message) => {
    const answer = await credentials(args, { input: 'some-value' });
    expect(answer.code).toBe(code);
    expect(answer.err).toContain(message);
    expect(answer.err + answer.out).not.toMatch(/glpat-typed|GLPAT_typed|some-value/);
  },
  120_000,
);

test.each([
  ['a phantom', 'cmph_ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef', 'is a phantom'],
  ['control characters', 'a\u001b[31mb', 'control characters'],
  ['two lines', 'one\ntwo\n', 'line feeds'],
  ['nothing', '', 'no value was given'],
  ['too much', 'x'.repeat(70_000), 'that is no credential'],
])(
  '%s is refused as a value',
  async (_, input, message) => {
    const before = await view('gitlab');
    const answer = await credentials(['set', 'gitlab'], { input });
    expect([answer.code, answer.err]).toEqual([125, expect.stringContaining(message)]);
    expect(await view('gitlab')).toEqual(before);
  },
  120_000,
);

test('test says what came of its one call, and the journal has it', async () => {
  await credentials(['set', 'gitlab'], { input: 'glpat-test' });
  const tried = async (path: string) => {
    const { code, out } = await credentials(['test', 'gitlab', '--path', path, '--json']);
    return [code, (JSON.parse(out) as { outcome: string }).outcome];
  };
  expect(await tried('/fine')).toEqual([0, 'accepted']);
  expect(await tried('/denied')).toEqual([1, 'rejected']);
  expect(await tried('/broken')).toEqual([1, 'unclear']);
  const github = await credentials(['test', 'github'], { env: { GH_TOKEN: 'ghp-of-this-shell' } });
  expect(github.code).toBe(0);
  expect(seen.at(-1)).toBe('/user Bearer ghp-of-this-shell');
  const aws = await credentials(['test', 'aws'], {
    env: { AWS_ACCESS_KEY_ID: 'AKIA1234567890ABCDEF', AWS_SECRET_ACCESS_KEY: 'aws-secret' },
  });
  expect(aws.out).toContain('this one call was accepted');
  expect(seen.at(-1)).toMatch(
    /^\/\?Action=GetCallerIdentity\S* AWS4-HMAC-SHA256 Credential=AKIA1234567890ABCDEF\/\d{8}\/us-east-1\/sts\//,
  );
  const { out } = await home.casemate(['journal', 'query', '--action', 'credential.test']);
  expect(out).toContain('gitlab.example.com:443  401');
  expect(out).not.toContain('glpat');
}, 120_000);

test('where a credential has no hosts of its own, the rules say where it goes', async () => {
  await credentials(['set', 'unhosted'], { input: 'value-of-unhosted' });
  expect(await view('unhosted')).toMatchObject({ hosts: ['unhosted.example.com'] });
  const tried = await credentials(['test', 'unhosted', '--path', '/fine']);
  expect([tried.code, tried.out]).toEqual([0, expect.stringContaining('GET https://unhosted.example.com/fine')]);
  expect(seen.at(-1)).toBe('/fine Bearer value-of-unhosted');
}, 120_000);

test('a source that is not sealed is read again, and a value for it is refused', async () => {
  const read = await credentials(['rotate', 'printed']);
  expect([read.code, read.out]).toEqual([0, expect.stringContaining('read again')]);
  const refused = await credentials(['rotate', 'printed', '--from-env', 'X'], { env: { X: 'y' } });
  expect([refused.code, refused.err]).toEqual([2, expect.stringContaining('takes "printed" from elsewhere')]);
}, 120_000);

test('a revocation is there for the next daemon; restore ends it', async () => {
  await credentials(['revoke', 'gitlab']);
  await home.casemate(['daemon', 'stop', '--force']);
  expect((await view('gitlab'))?.revoked).toEqual(['everywhere']);
  expect((await credentials(['restore', 'gitlab'])).out).toContain('may be used again');
  expect((await credentials(['restore', 'gitlab'])).out).toContain('was not revoked');
}, 120_000);

test('a daemon killed in the middle of a rotation leaves the old value or the new one, whole', async () => {
  for (const delayMs of [5, 80]) {
    await credentials(['set', 'gitlab'], { input: 'value-before' });
    const status = JSON.parse((await home.casemate(['daemon', 'status', '--json'])).out) as { daemon: { pid: number } };
    const rotation = credentials(['rotate', 'gitlab'], { input: 'value-after' });
    await new Promise((resolve) => setTimeout(resolve, 250 + delayMs));
    process.kill(status.daemon.pid, 'SIGKILL');
    const { code } = await rotation;
    expect((await credentials(['test', 'gitlab', '--path', '/after-kill'])).code).toBe(0);
    const value = seen.at(-1)?.split(' ').at(-1);
    expect(code === 0 ? ['value-after'] : ['value-before', 'value-after']).toContain(value);
  }
}, 120_000);
