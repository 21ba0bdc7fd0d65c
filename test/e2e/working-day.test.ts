import { createHash } from 'node:crypto';
import { spawn } from 'node:child_process';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { connectClient } from '../../src/daemon/client.ts';
import { socketPath } from '../../src/daemon/protocol.ts';
import { startAuthorizationServer, type AuthorizationServer } from '../helpers/authorization-server.ts';
import {
  emptyReport,
  joinReports,
  searchFolder,
  searchProcess,
  type Needle,
  type SearchReport,
} from '../../src/proof/outside/key-search.ts';
import { startModelApi, type ModelApi } from '../../src/tour/model-api/model-api.ts';
import type { Script } from '../../src/tour/model-api/script.ts';
import { entry, makeHome, wholeWayLacks, type Home, type Outcome } from '../helpers/cli.ts';
import {
  basic,
  github,
  npm,
  person,
  region,
  role,
  sample,
  startServices,
  table,
  type Services,
} from '../helpers/developer-services.ts';
import { hasGitBackend } from '../helpers/git-backend.ts';
import { handTo, startInternet, type Internet } from '../helpers/internet.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

/**
 * A developer with a Claude subscription, a GitHub token, an npm token and an AWS role works a day in a sandbox without one
 * real credential in it. The tests are one day and build on one another; every server is a stand-in on loopback.
 */

const lacks = hasGitBackend ? await wholeWayLacks(['claude']) : 'git-http-backend is not installed';

describe.skipIf(!engineOrSkip('oci', lacks))('a working day', { timeout: 120_000 }, () => {
  let home: Home;
  let login: AuthorizationServer;
  let api: ModelApi;
  let internet: Internet;
  let services: Services;
  let script: Script = () => ({ say: 'nothing to do', act: undefined });

  const inside = async (text: string, timeoutMs = 60_000): Promise<Outcome> =>
    await home.casemate(['exec', 'day', '--no-tty', '--', 'sh', '-c', text], { timeoutMs });
  const journal = async (...args: string[]): Promise<readonly Record<string, unknown>[]> =>
    (await home.casemate(['journal', 'query', '--json', ...args])).out
      .trim()
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line));

  const policy = [
    'version: 1',
    'agent: { name: claude, permissions: skip }',
    'presets: [claude]',
    'asks: { wait: 30s, when: always }',
    'network:',
    '  - host: github.com',
    '    credential: github',
    '    git: [{ repository: me/work, push: ["agent/*"] }]',
    '  - { host: npm.example.com, credential: npm, allow: ["GET /**"] }',
    `  - { host: ${table}, credential: aws, allow: ["POST /"] }`,
    'credentials:',
    '  aws: { provider: aws, source: { aws: { profile: work } } }',
    '',
  ].join('\n');

  beforeAll(async () => {
    home = await makeHome();
    login = await startAuthorizationServer({ expiresIn: 3600 });
    api = await startModelApi({ expectedKey: login.accepts, script: (outcomes) => script(outcomes) });
    services = await startServices({ folder: home.root, userHome: home.env['HOME'] ?? '' });
    internet = await startInternet({
      'claude.com': handTo(login.url),
      'platform.claude.com': handTo(login.url),
      'api.anthropic.com': handTo(api.url),
      ...services.sites,
    });
    await writeFile(join(home.root, 'internet.pem'), internet.certificatePem);
    Object.assign(home.env, { HTTPS_PROXY: internet.proxy, NODE_EXTRA_CA_CERTS: join(home.root, 'internet.pem') });
    await mkdir(home.paths.config, { recursive: true, mode: 0o700 });
    await writeFile(join(home.paths.config, 'policy.yaml'), policy, { mode: 0o600 });
  }, 120_000);

  afterAll(async () => {
    await home.casemate(['destroy', 'day', '--confirm', 'day']);
    await home.remove();
    internet.close();
    services.close();
    await api.close();
    await login.close();
  });

  /** A person with a browser on this machine. */
  async function logIn(): Promise<string> {
    const child = spawn(process.execPath, [entry, 'login', 'claude', '--loopback'], { cwd: home.project, env: home.env });
    let said = '';
    const opened = Promise.withResolvers<string>();
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (piece: Buffer) => {
        said += piece.toString('utf8');
        const page = /https:\/\/claude\.com(\/\S+)\n/.exec(said)?.[1];
        if (page !== undefined) {
          opened.resolve(page);
        }
      });
    }
    child.once('close', () => opened.reject(new Error(said)));
    const ended = new Promise((resolve) => child.once('close', resolve));
    await fetch(`${login.url}${await opened.promise}`);
    expect(await ended).toBe(0);
    return said;
  }

  it('in the morning: a login in the browser, two tokens typed in, a role of AWS, one sandbox', async () => {
    expect(await logIn()).toMatch(/claude: a login of its own; valid until/);
    expect(await home.casemate(['credentials', 'set', 'github'], { input: `${github.first}\n` })).toMatchObject({ code: 0 });
    expect(await home.casemate(['credentials', 'set', 'npm'], { input: npm })).toMatchObject({ code: 0 });
    expect(await home.casemate(['create', 'day'])).toMatchObject({ code: 0 });
    expect(await home.casemate(['start', 'day'])).toMatchObject({ code: 0 });
    expect([...new Set(services.signed.sts)]).toEqual([undefined]);
    const listed: readonly { name: string }[] = JSON.parse((await home.casemate(['credentials', 'ls', '--json'])).out);
    expect(listed.map(({ name }) => name)).toEqual(expect.arrayContaining(['github', 'npm', 'aws', 'claude-login']));
  });

  it('git clones a private repository, Claude Code edits a file, and the change goes to a branch that is allowed', async () => {
    const setUp =
      'cd && git clone -q https://github.com/me/work && cd work && git config user.email a@b.c && git config user.name a';
    expect(await inside(setUp)).toMatchObject({ code: 0, err: '' });
    const path = '/home/agent/work/greeting.js';
    script = (outcomes) => {
      const acts = [
        { kind: 'read', path },
        { kind: 'edit', path, before: '"helo"', after: '"hello"' },
      ] as const;
      const act = acts[outcomes.length];
      return act === undefined ? { say: 'It says hello.', act } : { say: 'I look.', act };
    };
    const agent = await inside('cd ~/work && claude -p --dangerously-skip-permissions "mend the greeting"', 90_000);
    expect(agent).toMatchObject({ code: 0, out: 'It says hello.\n' });
    expect(api.requests.filter(({ path: asked, authorized }) => asked.startsWith('/v1/messages') && !authorized)).toEqual([]);
    const push = await inside(
      'cd ~/work && git checkout -q -b agent/greeting && git commit -qam mended && git push -q origin HEAD',
    );
    expect(push).toMatchObject({ code: 0 });
    expect(await services.git('show', 'agent/greeting:greeting.js')).toBe('export const greeting = "hello";\n');
  });

  it('a push to another branch is refused in words, and nothing changes at the server', async () => {
    const { code, out, err } = await inside('cd ~/work && git push origin HEAD:main 2>&1');
    expect(code).not.toBe(0);
    expect(out + err).toMatch(/remote: .*blocked by the network policy[\s\S]*! \[remote rejected\] HEAD -> main/);
    expect(await services.git('show', 'main:greeting.js')).toBe(sample);
  });

  it('npm installs from a private registry', async () => {
    const text = `mkdir -p ~/app && cd ~/app && npm config set registry https://npm.example.com/ && npm install --no-audit --no-fund left-alone && ls node_modules`;
    const { code, out } = await inside(text);
    expect({ code, out }).toMatchObject({ code: 0, out: expect.stringMatching(/left-alone\n$/) });
  });

  it('a call of AWS that is signed with phantoms arrives signed with the keys of the role', async () => {
    const text = `curl -sS --aws-sigv4 aws:amz:${region}:dynamodb --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" -H "x-amz-security-token: $AWS_SESSION_TOKEN" -H 'content-type: application/x-amz-json-1.0' -H 'x-amz-target: DynamoDB_20120810.ListTables' -d '{}' https://${table}/`;
    expect((await inside(text)).out).toBe('{"TableNames":["orders"]}');
    expect(services.signed.dynamodb).toEqual([undefined]);
  });

  it('a host that is not allowed waits for the person, works once, and then not again', async () => {
    const ask = (): Promise<Outcome> => inside('curl -sS -m 40 https://docs.example.com/guide');
    const waiting = async (): Promise<string> => {
      for (let round = 0; round < 60; round += 1) {
        const rows: readonly { id: string; state: string }[] = JSON.parse((await home.casemate(['requests', '--json'])).out);
        const found = rows.find(({ state }) => state === 'waiting');
        if (found !== undefined) {
          return found.id;
        }
        await sleep(100);
      }
      throw new Error('nothing waits');
    };
    const first = ask();
    const id = await waiting();
    expect(internet.dialled).not.toContain('docs.example.com');
    expect(await home.casemate(['approve', id, '--once', '--yes'])).toMatchObject({ code: 0 });
    expect((await first).out).toBe('the guide\n');
    const second = ask();
    const again = await waiting();
    expect(again).not.toBe(id);
    expect(await home.casemate(['deny', again])).toMatchObject({ code: 0 });
    expect((await second).out).toMatch(/blocked by the network policy[\s\S]*A person was asked and has refused this/);
    expect(services.guide).toEqual(['/guide']);
  });

  it('a token that is rotated is in force at once', async () => {
    services.takes(github.second);
    expect((await inside('cd ~/work && git fetch -q 2>&1')).code).not.toBe(0);
    expect(await home.casemate(['credentials', 'rotate', 'github'], { input: github.second })).toMatchObject({ code: 0 });
    expect(await inside('cd ~/work && git fetch -q 2>&1')).toMatchObject({ code: 0, out: '' });
  });

  it('a budget of the project that is used up gives a 429 which the agent shows', async () => {
    await writeFile(join(home.project, 'casemate.yaml'), 'version: 1\nbudgets: [{ tokens: 50 }]\n');
    const text =
      'claude -p "mend the greeting"; echo "ended with $?"; curl -sS -w "%{http_code}" -d "{}" https://api.anthropic.com/v1/messages';
    const { out, err } = await home.casemate(['run', '--', 'sh', '-c', text], { timeoutMs: 90_000 });
    await rm(join(home.project, 'casemate.yaml'));
    expect(out + err).toMatch(/budget of this sandbox of 50 tokens is used up[\s\S]*ended with 1[\s\S]*is used up[\s\S]*429$/);
    expect((await journal('--decision', 'deny')).map(({ outcome }) => outcome)).toContain('budget-exceeded');
  });

  it('no real value is in a process, a file or the memory of the sandbox while all of it is in use', async () => {
    script = (outcomes) =>
      outcomes.length === 0
        ? {
            say: 'I wait.',
            act: { kind: 'run', command: 'touch /tmp/agent; until [ -e /tmp/end ]; do sleep 0.2; done', about: 'Wait' },
          }
        : { say: 'Done.', act: undefined };
    const working = [
      inside('claude -p --dangerously-skip-permissions "wait"', 90_000),
      inside(
        'cd ~/work && git fetch -q; npm view left-alone version; env >/tmp/tools; until [ -e /tmp/end ]; do sleep 0.2; done',
      ),
    ];
    expect((await inside('until [ -e /tmp/agent ] && [ -s /tmp/tools ]; do sleep 0.2; done')).code).toBe(0);
    const needles = [...realValues(), ...phantoms];
    const report = await searchInside(needles);
    const held = await searchProcess(await daemonPid(), needles);
    await inside('touch /tmp/end');
    const controls = await Promise.all(working);
    expect(controls.map(({ code }) => code)).toEqual([0, 0]);
    expect(report.bytes).toBeGreaterThan(50 * 1024 * 1024);
    // Positive controls: what is inside is found there, and the real values are found where they must be.
    expect(phantoms.filter(({ name }) => (report.seen[name] ?? []).length === 0)).toEqual([]);
    expect(sightings(held).filter((name) => name.startsWith('real')).length).toBeGreaterThan(3);
    expect(sightings(report).filter((name) => name.startsWith('real'))).toEqual([]);
  });

  it('a credential that is revoked is cut, with what was open', async () => {
    const open = inside('curl -sS -N https://npm.example.com/slow');
    while (services.slow() === 0) {
      await sleep(100);
    }
    expect(await home.casemate(['credentials', 'revoke', 'npm'])).toMatchObject({ code: 0 });
    const cut = await open;
    expect(cut.code).not.toBe(0);
    expect(cut.out).toBe('the first piece\n');
    const { code, out } = await inside('cd ~/app && npm view left-alone version 2>&1');
    expect(code).not.toBe(0);
    expect(out).toMatch(/credential-revoked|taken away|revoked/);
  });

  it('in the evening: the journal verifies and names each exchange with the keyed hash of what went along', async () => {
    expect(await home.casemate(['journal', 'verify'])).toMatchObject({ code: 0 });
    const exchanges = (await journal('--action', 'net.exchange', '--decision', 'allow')).filter(({ detail }) => !isLocal(detail));
    const hashesOf = (host: string): readonly unknown[] => [
      ...new Set(exchanges.filter(({ subject }) => subject === `${host}:443`).map(({ credential }) => credential)),
    ];
    const counts = Object.fromEntries(
      ['api.anthropic.com', 'github.com', 'npm.example.com', table, 'docs.example.com'].map((host) => [host, hashesOf(host)]),
    );
    const keyed = expect.stringMatching(/^[0-9a-f]{16}$/);
    expect(counts).toEqual({
      'api.anthropic.com': [keyed],
      // Before the rotation and after it.
      'github.com': [keyed, keyed],
      'npm.example.com': [keyed],
      [table]: [keyed],
      'docs.example.com': [undefined],
    });
    const plain = realValues().map(({ text }) => createHash('sha256').update(text).digest('hex').slice(0, 16));
    expect(plain.filter((hash) => JSON.stringify(counts).includes(hash))).toEqual([]);
  });

  it('no real value lies in the state, the logs, the journal or the configuration of casemate', async () => {
    const control = { name: 'control', text: '"subject":"github.com:443"' };
    await home.casemate(['daemon', 'stop', '--force']);
    const report = await searchFolder(home.env['CASEMATE_HOME'] ?? '', [...realValues(), control]);
    expect(sightings(report)).toEqual(['control']);
    const project = await searchFolder(home.project, realValues());
    expect(sightings(project)).toEqual([]);
  });

  const phantoms: readonly Needle[] = ['sk-ant-oat01-cmph_', 'ghp_cmph', 'npm_cmph', 'ASIACMPH'].map((text) => ({
    name: `phantom ${text}`,
    text,
  }));

  function realValues(): readonly Needle[] {
    const texts = {
      github: github.first,
      'github in Basic': basic(github.first),
      'github, new': github.second,
      'github in Basic, new': basic(github.second),
      npm,
      'person of AWS': person.secretAccessKey,
      'role of AWS': role.secretAccessKey,
      'id of the role': role.accessKeyId,
      'session of AWS': role.sessionToken,
      ...Object.fromEntries(login.issued.map((text, index) => [`login ${index}`, text])),
    };
    return Object.entries(texts).map(([name, text]) => ({ name: `real ${name}`, text }));
  }

  const sightings = ({ seen }: SearchReport): readonly string[] =>
    Object.entries(seen).flatMap(([name, places]) => (places.length > 0 ? [name] : []));
  const isLocal = (detail: unknown): boolean => JSON.stringify(detail).includes('"local":true');

  async function pids(): Promise<readonly number[]> {
    const client = await connectClient({ socketPath: socketPath(home.paths), answer: async () => ({}) });
    const answer = await client.call('processes', { name: 'day' });
    client.close();
    return answer.pids;
  }

  async function daemonPid(): Promise<number> {
    const status: { daemon: { pid: number } } = JSON.parse((await home.casemate(['daemon', 'status', '--json'])).out);
    return status.daemon.pid;
  }

  async function searchInside(needles: readonly Needle[]): Promise<SearchReport> {
    const running = await pids();
    let report = emptyReport(needles);
    for (const folder of ['home/agent', 'tmp', 'run', 'etc', 'var', 'workspace']) {
      report = joinReports(report, await searchFolder(`/proc/${running[0]}/root/${folder}`, needles));
    }
    for (const pid of running) {
      report = joinReports(report, await searchProcess(pid, needles));
    }
    return report;
  }
});
