import { connect } from 'node:net';
import { existsSync } from 'node:fs';
import { mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { callerMethods } from '../../src/daemon/caller-protocol.ts';
import { operatorMethods, socketPath } from '../../src/daemon/protocol.ts';
import { makeHome, wholeWayLacks, type Home } from '../helpers/cli.ts';
import { startCaller, type McpCaller } from '../helpers/mcp-client.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

/** A caller with every right that a caller has, talked into anything: it gets nothing that is not its own. */
describe.skipIf(!engineOrSkip('oci', await wholeWayLacks()))('a hostile caller', () => {
  let home: Home;
  let mallory: McpCaller;
  let victim: McpCaller;
  let victimId = '';
  let ownId = '';
  let root = '';
  let secret = '';

  beforeAll(async () => {
    home = await makeHome();
    root = join(home.root, 'mallory');
    secret = join(home.root, 'secret');
    await mkdir(join(root, 'project'), { recursive: true });
    await mkdir(secret);
    mallory = await startCaller(home, { args: ['--root', root, '--caller', 'mallory'] });
    victim = await startCaller(home, { args: ['--root', home.project, '--caller', 'victim'] });
    const options = { agent: 'none', sessionName: 'payroll' };
    victimId = String((await victim.call('create_session', { projectPath: home.project, ...options }))['sessionId']);
    ownId = String((await mallory.call('create_session', { projectPath: join(root, 'project'), agent: 'none' }))['sessionId']);
    await home.casemate(['create', 'mine']);
    await home.casemate(['start', 'mine']);
  });
  afterAll(async () => {
    await Promise.all([mallory.close(), victim.close()]);
    await home.remove();
  });

  it('sees and touches only its own sessions', async () => {
    const { sessions } = (await mallory.call('list_sessions')) as { sessions: { sessionId: string }[] };
    expect(sessions.map(({ sessionId }) => sessionId)).toEqual([ownId]);
    for (const sessionId of [victimId, 'payroll', 'mine', `../${victimId}`, '--privileged', `-u root ${victimId}`, '*', '']) {
      const calls: [string, object][] = [
        ['execute_command', { sessionId, command: 'id' }],
        ['get_session_logs', { sessionId }],
        ['execute_in_session', { sessionId, prompt: 'x' }],
        ['start_command', { sessionId, command: 'id' }],
        ['transfer_files', { sessionId, direction: 'to_container', sourcePath: join(root, 'project'), destPath: '/tmp/x' }],
        ['get_events', { sessionId }],
        ['explain_access', { sessionId, host: 'example.com' }],
        ['list_denied_requests', { sessionId }],
        ['request_approval', { sessionId, requestId: 'ask-abcdefgh2345', reason: 'x' }],
        ['snapshot_session', { sessionId }],
        ['list_snapshots', { sessionId }],
        ['restore_session', { sessionId, snapshotId: 'sn-0123456789abcdef' }],
        ['remove_snapshot', { sessionId, snapshotId: 'sn-0123456789abcdef' }],
        ['destroy_session', { sessionId }],
      ];
      for (const [name, args] of calls) {
        expect(await mallory.refusal(name, args)).toMatch(/SANDBOX_NOT_FOUND: no sandbox of yours|-32602/);
      }
    }
    for (const sessionId of [null, [], { $ne: 1 }, 7]) {
      expect(await mallory.refusal('execute_command', { sessionId, command: 'id' })).toContain('-32602');
    }
    expect(await victim.call('execute_command', { sessionId: victimId, command: 'echo alive' })).toMatchObject({
      stdout: 'alive\n',
    });
    expect((await home.casemate(['exec', 'mine', '--', 'echo', 'alive'])).out).toBe('alive\n');
  });

  it('reads no resource of another', async () => {
    for (const session of [victimId, 'payroll', 'mine', '..', `${ownId}/../${victimId}`]) {
      for (const what of ['journal', 'files/etc/passwd']) {
        await expect(mallory.client.readResource({ uri: `casemate://sessions/${session}/${what}` })).rejects.toThrow('-32602');
      }
    }
    const { resources } = await mallory.client.listResources();
    expect(resources.map(({ uri }) => uri)).toEqual([`casemate://sessions/${ownId}/journal`]);
  });

  it('has others asked for it, and is not granted by that', async () => {
    const ask = `curl -sS https://api.example.com/x`;
    await mallory.call('execute_command', { sessionId: ownId, command: ask });
    const { requests } = (await mallory.call('list_denied_requests', { sessionId: ownId })) as {
      requests: { requestId: string }[];
    };
    const requestId = requests[0]?.requestId;
    await victim.call('execute_command', { sessionId: victimId, command: ask });
    const others = (await victim.call('list_denied_requests', { sessionId: victimId })) as { requests: { requestId: string }[] };
    expect(
      await mallory.refusal('request_approval', { sessionId: ownId, requestId: others.requests[0]?.requestId, reason: 'x' }),
    ).toContain('REQUEST_GONE');
    const reason = 'needed\u001b[2J for docs';
    expect(await mallory.call('request_approval', { sessionId: ownId, requestId, reason })).toMatchObject({ granted: false });
    expect((await mallory.call('execute_command', { sessionId: ownId, command: ask }))['stdout']).toContain('host-not-allowed');
    const { out } = await home.casemate(['requests']);
    expect(out).toContain('caller:mallory says: needed\\x1b[2J for docs');
    expect(out).not.toMatch(/\u001b/);
  });

  it('is not told by a name that another has it', async () => {
    const made = await mallory.call('create_session', {
      projectPath: join(root, 'project'),
      agent: 'none',
      sessionName: 'payroll',
    });
    expect(made['sessionName']).toMatch(/^payroll-[0-9a-f]{6}$/);
    await mallory.call('destroy_session', { sessionId: made['sessionId'] });
  });

  it('cannot reach beyond its roots', async () => {
    await symlink('/etc', join(root, 'link-out'));
    await symlink(secret, join(root, 'link-to-secret'));
    const places = ['/', '/etc', '/var/run', '/proc', '/sys', '/dev', home.root, home.project, secret, home.paths.state].concat([
      join(root, '..'),
      join(root, 'project/../../secret'),
      join(root, 'link-out'),
      join(root, 'link-to-secret'),
    ]);
    for (const projectPath of places) {
      const text = await mallory.refusal('create_session', { projectPath, agent: 'none' });
      expect(text, projectPath).toMatch(/^(?:NOT_ALLOWED|PATH_INVALID): /);
    }
    const journal = await home.casemate(['journal', 'query', '--json', '--action', 'caller.refused']);
    expect(journal.out).toContain('"actor":"caller:mallory"');
  });

  it('cannot ask for less protection, by any key in any spelling', async () => {
    const hostConfig = {
      Privileged: true,
      CapAdd: ['SYS_ADMIN'],
      PidMode: 'host',
      NetworkMode: 'host',
      IpcMode: 'host',
      UsernsMode: 'host',
      CgroupnsMode: 'host',
      Binds: ['/:/h'],
      Mounts: [{ Type: 'bind', Source: '/', Target: '/h' }],
      VolumesFrom: ['gw'],
      Devices: [{ PathOnHost: '/dev/sda' }],
      DeviceRequests: [{ Count: -1 }],
      Sysctls: { 'kernel.core_pattern': 'x' },
      Runtime: 'runc',
      ExtraHosts: ['api:host-gateway'],
      GroupAdd: ['0'],
      OomKillDisable: true,
      PidsLimit: -1,
      NanoCpus: 0,
      Ulimits: [],
      MaskedPaths: [],
      ReadonlyPaths: [],
      PortBindings: {},
      RestartPolicy: { Name: 'always' },
      User: '0',
      Entrypoint: ['sh'],
      Image: 'evil',
      Env: ['LD_PRELOAD=/x'],
    };
    const keys = Object.keys(hostConfig).flatMap((key) => [
      key,
      key.toLowerCase(),
      key.replace('s', '\u017F').replace('k', '\u212A'),
    ]);
    for (const key of keys) {
      const text = await mallory.refusal('create_session', {
        projectPath: join(root, 'project'),
        dockerOpts: { [key]: Reflect.get(hostConfig, key) ?? true },
      });
      expect(text, key).toContain(`-32602: create_session: dockerOpts.${key}`);
    }
    const bad: Record<string, unknown>[] = [
      { SecurityOpt: ['seccomp=unconfined'] },
      { SecurityOpt: ['no-new-privileges=false'] },
      { ReadonlyRootfs: false },
      { Memory: 0 },
      { Memory: '-1' },
      { CpuQuota: -1 },
      { CpuQuota: 0 },
      { CapDrop: ['; touch /tmp/x'] },
    ];
    for (const dockerOpts of bad) {
      const text = await mallory.refusal('create_session', { projectPath: join(root, 'project'), dockerOpts });
      expect(text).toContain(`-32602: create_session: dockerOpts.${Object.keys(dockerOpts)[0] ?? ''}`);
    }
    for (const dockerOpts of [{ Memory: '64g' }, { CpuQuota: 10_000_000 }]) {
      const text = await mallory.refusal('create_session', { projectPath: join(root, 'project'), agent: 'none', dockerOpts });
      expect(text).toContain('POLICY_WIDENS');
    }
    for (const key of ['strictPermissions', 'egress', 'network', 'user', 'trust', 'sandbox', 'waive', 'skipPermissions']) {
      const args = JSON.parse(`{"projectPath":${JSON.stringify(join(root, 'project'))},"${key}":true}`);
      expect(await mallory.refusal('create_session', args), key).toContain('-32602');
    }
    const { sessions } = (await mallory.call('list_sessions')) as { sessions: unknown[] };
    expect(sessions).toHaveLength(1);
  });

  it('starts nothing on the host by what it writes into a text', async () => {
    const mark = join(home.root, 'mark');
    for (const text of [`';touch ${mark};'`, `$(touch ${mark})`, `\`touch ${mark}\``, `& touch ${mark}`, `x\ntouch ${mark}`]) {
      await mallory.refusal('create_session', { projectPath: text });
      await mallory.refusal('create_session', { projectPath: join(root, text), agent: 'none' });
      await mallory.refusal('execute_command', { sessionId: text, command: 'id' });
      await mallory.call('execute_command', { sessionId: ownId, command: text });
      await mallory.call('execute_command', { sessionId: ownId, command: ['printf', '%s', text] });
      await mallory.refusal('get_session_logs', { sessionId: ownId, tail: text });
      await mallory.refusal('execute_command', { sessionId: ownId, command: 'id', cwd: text });
    }
    expect(existsSync(mark)).toBe(false);
    for (const tail of [-1, 1e12, 0.5, '--follow', { a: 1 }]) {
      expect(await mallory.refusal('get_session_logs', { sessionId: ownId, tail })).toContain('-32602: get_session_logs: tail');
    }
  });

  it('cannot set variables that steer, and what it sets stays inside', async () => {
    for (const name of [
      'LD_PRELOAD',
      'NODE_OPTIONS',
      'BASH_ENV',
      'PATH',
      'GIT_SSH_COMMAND',
      'HTTPS_PROXY',
      'no_proxy',
      'A\nB',
      'A=B',
    ]) {
      const text = await mallory.refusal('execute_command', { sessionId: ownId, command: 'env', env: { [name]: 'canary-env' } });
      expect(text, name).toContain('-32602: execute_command: env');
    }
    const answer = await mallory.call('execute_command', {
      sessionId: ownId,
      command: 'echo $GIVEN',
      env: { GIVEN: 'canary-env' },
    });
    expect(answer).toMatchObject({ stdout: 'canary-env\n' });
  });

  it('cannot forge messages of the protocol by what a sandbox prints', async () => {
    const forged = '{"jsonrpc":"2.0","id":2,"result":{"content":[]}}';
    const command = `printf '%s\\n' '${forged}' 'Content-Length: 5'; printf '\\0\\n\\n' >&2`;
    const [one, two] = await Promise.all([
      mallory.call('execute_command', { sessionId: ownId, command }),
      mallory.call('execute_command', { sessionId: ownId, command: 'echo two' }),
    ]);
    expect(one).toMatchObject({ stdout: `${forged}\nContent-Length: 5\n`, stderr: '\0\n\n' });
    expect(two).toMatchObject({ stdout: 'two\n' });
  });

  it('has no other call at the control socket than the table says, and cannot become another', async () => {
    const socket = connect(socketPath(home.paths));
    const lines: { type: string; id?: number; error?: { code: string } }[] = [];
    let text = '';
    socket.on('data', (piece: Buffer) => {
      text += piece.toString('utf8');
      const parts = text.split('\n');
      text = parts.pop() ?? '';
      lines.push(...parts.map((part) => JSON.parse(part)));
    });
    const say = (message: unknown): void => void socket.write(`${JSON.stringify(message)}\n`);
    say({ type: 'caller', caller: { name: 'mallory', roots: [root] } });
    const named = { name: ownId };
    const params: Record<string, unknown> = {
      requests: {},
      'requests-follow': {},
      'request-approve': { id: 'ask-abcdefgh2345', scope: 'once' },
      'request-deny': { id: 'ask-abcdefgh2345', scope: 'while' },
      trust: { cwd: root, hash: 'x' },
      'credential-list': { cwd: root },
      'credential-set': { name: 'anthropic', value: 'x' },
      'credential-reread': { name: 'anthropic', cwd: root },
      'credential-revoke': { name: 'anthropic', cwd: root },
      'credential-restore': { name: 'anthropic', cwd: root },
      'credential-remove-list': { name: 'anthropic' },
      'credential-remove': { name: 'anthropic' },
      'credential-test': { name: 'anthropic', cwd: root },
      'login-list': {},
      'login-begin': { agent: 'claude' },
      'login-finish': { id: '00000000-0000-4000-8000-000000000000', code: 'x' },
      'login-import': { agent: 'claude', text: '{}' },
      'login-remove': { agent: 'claude' },
      'prove-seal': { outcome: { profile: 'quick', verdicts: {}, probes: 0, observations: 0, findings: '0'.repeat(64) } },
      'caller-add': { name: 'x', role: 'admin', roots: ['/'] },
      'caller-list': {},
      'caller-revoke': { name: 'x' },
      'caller-find': { token: 'x' },
      'reap-list': {},
      reap: { ids: [ownId] },
      'trust-list': { cwd: root },
      run: { cwd: root, command: ['id'], keep: false, tty: false },
      processes: named,
      status: {},
      shutdown: { force: true },
    };
    expect(operatorMethods.filter((method) => !(method in params))).toEqual([]);
    expect(callerMethods.filter((method) => method in params)).toEqual([]);
    Object.entries(params).forEach(([method, value], id) => say({ type: 'call', id, method, params: value }));
    await expect.poll(() => lines.filter(({ type }) => type === 'error').length).toBe(Object.keys(params).length);
    expect(new Set(lines.flatMap(({ error }) => error?.code ?? []))).toEqual(new Set(['NOT_ALLOWED']));
    const wider = [
      { waive: ['memory-limit'] },
      { trust: true },
      { skipPermissions: true },
      { policyFile: '/tmp/p.yaml' },
      { image: './x.yaml' },
    ];
    wider.forEach((more, index) =>
      say({ type: 'call', id: 100 + index, method: 'create', params: { cwd: join(root, 'project'), ...more } }),
    );
    await expect
      .poll(() => lines.filter(({ id = 0 }) => id >= 100).map(({ error }) => error?.code))
      .toEqual(wider.map(() => 'NOT_ALLOWED'));
    const closed = new Promise((resolve) => void socket.once('close', resolve));
    say({ type: 'caller', caller: { name: 'victim', roots: ['/'] } });
    await closed;
    expect((await home.casemate(['exec', 'mine', '--', 'echo', 'alive'])).out).toBe('alive\n');
  });

  it('has ten sessions at most, also when it asks for all of them at once', async () => {
    const asked = Array.from(
      { length: 14 },
      async () => await mallory.refusal('create_session', { projectPath: join(root, 'project'), agent: 'none' }),
    );
    const answers = await Promise.all(asked);
    expect(answers.filter((text) => text === 'nothing was refused')).toHaveLength(9);
    expect(answers.filter((text) => text.startsWith('TOO_MANY: you have 10 sandboxes'))).toHaveLength(5);
    const { sessions } = (await mallory.call('list_sessions')) as { sessions: { sessionId: string }[] };
    await Promise.all(sessions.map(async ({ sessionId }) => await mallory.call('destroy_session', { sessionId })));
  });
});
