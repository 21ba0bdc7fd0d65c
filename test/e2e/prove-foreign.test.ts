/** `casemate prove --command` with bubblewrap: a weak sandbox is seen to be weak, a tighter one is believed what it holds. */
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { Finding } from '../../src/proof/finding.ts';
import { run } from '../../src/system/process.ts';
import { entry } from '../helpers/cli.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

/** In namespaces of user and network of its own: what is attacked has no right on this host, and no way out of it. */
const apart = ['--user', '--map-root-user', '--net', 'sh', '-c', 'ip link set lo up && exec "$@"', 'sh'];

async function whatIsMissing(): Promise<string | undefined> {
  const inner = ['bwrap', '--ro-bind', '/', '/', '--dev', '/dev', '--proc', '/proc', '--unshare-pid', 'true'];
  const tried = await run('unshare', [...apart, ...inner], { env: { PATH: path }, timeoutMs: 20_000 }).catch(String);
  return typeof tried === 'string' ? tried : tried.exitCode === 0 ? undefined : tried.stderr.toString('utf8').trim();
}

const path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
/** The host as it is, but for its devices and folder of temporary files; the network and processes are shared. */
const weak = 'bwrap --ro-bind / / --dev /dev --tmpfs /tmp --bind {home} {home} --chdir {work} --setenv HOME {home} {}';
/** Programs and the project; nothing is shared or passed on. */
const tight =
  'bwrap --ro-bind /usr /usr --symlink usr/bin /bin --symlink usr/lib /lib --symlink usr/lib64 /lib64 --dev /dev --proc /proc --tmpfs /tmp ' +
  '--bind {work} /work --chdir /work --unshare-all --new-session --die-with-parent --clearenv --setenv PATH /usr/bin --setenv HOME /tmp --cap-drop ALL {}';

describe.skipIf(!engineOrSkip('bwrap', await whatIsMissing()))('casemate prove --command', { timeout: 180_000 }, () => {
  let temporary: string;

  beforeAll(async () => {
    temporary = await mkdtemp(join(tmpdir(), 'casemate-test-'));
    await mkdir(join(temporary, 'user'));
  });
  afterAll(async () => {
    await rm(temporary, { recursive: true, force: true });
  });

  const prove = (command: string, ...more: readonly string[]) =>
    run('unshare', [...apart, process.execPath, entry, 'prove', '--command', command, ...more], {
      env: { PATH: path, HOME: join(temporary, 'user'), LANG: 'C.UTF-8', TMPDIR: temporary },
      cwd: temporary,
      timeoutMs: 170_000,
    });

  async function verdicts(
    command: string,
  ): Promise<{ code: number; of: Readonly<Record<string, string>>; findings: readonly Finding[] }> {
    const { exitCode, stdout, stderr } = await prove(command, '--json');
    expect(stderr.toString('utf8')).toBe('');
    const { findings }: { findings: readonly Finding[] } = JSON.parse(stdout.toString('utf8'));
    return { code: exitCode, of: Object.fromEntries(findings.map(({ probe, verdict }) => [probe, verdict])), findings };
  }

  const attacks = [
    'around.canaries',
    'around.home-secrets',
    'around.environment',
    'around.process',
    'around.reach',
    'around.sockets',
    'around.terminal',
    'kernel.namespaces',
    'network.interfaces',
  ];

  test('calls broken what a weak one lets through, decided by what arrived on this host', async () => {
    const { code, of, findings } = await verdicts(weak);
    expect(code).toBe(1);
    expect(attacks.filter((probe) => of[probe] !== 'broken')).toEqual([]);
    const through = findings.flatMap(({ rows }) => rows).filter(({ ok, from }) => ok === false && from === 'outside');
    expect(through.map(({ what }) => what)).toEqual(
      expect.arrayContaining(['tcp 127.0.0.1', 'agent of keys', 'abstract socket', '$ANTHROPIC_API_KEY', 'type into it']),
    );
  });

  test('calls held what a tighter one refuses, and no more than that', async () => {
    const { code, of, findings } = await verdicts(tight);
    expect(code).toBe(1);
    expect(attacks.filter((probe) => probe !== 'kernel.namespaces' && of[probe] !== 'held')).toEqual([]);
    // It has neither a filter nor limits, and its project is given whole.
    expect(of).toMatchObject({
      'kernel.reachable-calls': 'broken',
      'around.planted-names': 'broken',
      'around.limits': 'broken',
    });
    const controls = findings.flatMap(({ rows }) => rows).filter(({ kind }) => kind === 'control');
    expect(controls.length).toBeGreaterThan(20);
    expect(controls.filter(({ ok }) => ok !== true)).toEqual([]);
  });

  test('says in a line what is wrong with a command that has no place for the probe', async () => {
    const { exitCode, stdout, stderr } = await prove('bwrap --ro-bind / / true');
    expect([exitCode, stdout.toString('utf8')]).toEqual([2, '']);
    expect(stderr.toString('utf8').split('\n')[0]).toBe('casemate: there is no {} in --command');
  });

  test('leaves nothing of its own behind', async () => {
    expect(await readdir(temporary)).toEqual(['user']);
  });
});
