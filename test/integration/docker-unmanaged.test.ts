/** What others do to a sandbox with the engine's own client: it is on record, the state follows, and our own deeds are not among it. */
import { chown } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { run } from '../../src/system/process.ts';
import { makeHome, type Home } from '../helpers/cli.ts';
import { dockerLacks, dockerWaivers, workspaceOwner } from '../helpers/docker-lab.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

interface Deed {
  readonly outcome: string;
  readonly detail: Readonly<Record<string, unknown>>;
}

/** an internal one of our own: it leads nowhere */
const network = `casemate-test-${process.pid}`;
const patience = { timeout: 30_000, interval: 100 };

describe.skipIf(!engineOrSkip('docker', await dockerLacks()))('a sandbox under Docker', () => {
  let home: Home;
  let name: string;

  beforeAll(async () => {
    home = await makeHome();
    await chown(home.project, workspaceOwner, workspaceOwner);
    const waivers = dockerWaivers.flatMap((layer) => ['--waive', layer]);
    expect((await home.casemate(['create', 'box', '--engine', 'docker', ...waivers])).err).toBe('');
    const { sandbox } = JSON.parse((await home.casemate(['inspect', 'box', '--json'])).out);
    name = `casemate-${sandbox.id}`;
    expect(await docker('network', 'create', '--driver', 'bridge', '--internal', network)).toBe(0);
  }, 120_000);
  afterAll(async () => {
    await home.remove();
    await docker('network', 'rm', network);
  }, 60_000);

  const docker = async (...args: readonly string[]): Promise<number> =>
    (await run('docker', args, { env: home.env, timeoutMs: 30_000 })).exitCode;
  /** It may have been made before its sandbox, under another name. */
  const keeperOf = async (container: string): Promise<string> => {
    const args = ['inspect', container, '--format', '{{.HostConfig.NetworkMode}}'];
    const { stdout } = await run('docker', args, { env: home.env, timeoutMs: 30_000 });
    return stdout.toString('utf8').trim().replace('container:', '');
  };
  const start = async (): Promise<void> => {
    expect((await home.casemate(['start', 'box'])).err).toBe('');
  };
  const stateOf = async (): Promise<string> => JSON.parse((await home.casemate(['inspect', 'box', '--json'])).out).sandbox.state;
  /** on record so far, oldest first */
  const deeds = async (): Promise<readonly Deed[]> => {
    const { out } = await home.casemate(['journal', 'query', '--action', 'sandbox.unmanaged', '--json']);
    return out
      .split('\n')
      .filter((line) => line !== '')
      .map((line): Deed => JSON.parse(line));
  };
  const deed = async (outcome: string): Promise<Deed> => {
    await expect.poll(async () => (await deeds()).map((row) => row.outcome), patience).toContain(outcome);
    return (await deeds()).findLast((row) => row.outcome === outcome) ?? { outcome: '', detail: {} };
  };

  test('is left to ourselves: no deed of ours counts as that of another', async () => {
    await start();
    expect((await home.casemate(['exec', 'box', '--', 'true'])).code).toBe(0);
    expect((await home.casemate(['exec', 'box', '--', 'sh', '-c', 'sleep 60 & exit 3'])).code).toBe(3);
    expect((await home.casemate(['stop', 'box'])).code).toBe(0);
    await start();
    // The first deed of another comes after all of ours: when it is on record, they have been looked at.
    expect(await docker('exec', name, 'true')).toBe(0);
    await deed('command');
    expect((await deeds()).map(({ outcome }) => outcome)).toEqual(['command']);
  }, 120_000);

  test('runs on where nothing of what was planned changed: a command, a pause, a copy', async () => {
    await docker('exec', '--user', '0', '--privileged', name, 'true', 'secret-word');
    await expect.poll(async () => (await deed('command')).detail['privileged'], patience).toBe(true);
    const command = await deed('command');
    expect(command.detail).toMatchObject({ part: 'sandbox', program: 'true', user: '0', leaves: 'as-planned' });
    expect(JSON.stringify(command)).not.toContain('secret-word');
    await docker('pause', name);
    await deed('paused');
    expect(await stateOf()).toBe('running');
    await docker('unpause', name);
    await deed('resumed');
    expect(await docker('cp', `${name}:/etc/hostname`, join(home.root, 'copied'))).toBe(0);
    await deed('read');
    expect((await home.casemate(['exec', 'box', '--', 'true'])).code).toBe(0);
    expect(await stateOf()).toBe('running');
  }, 120_000);

  test.each<[string, string, readonly (readonly string[])[]]>([
    ['a limit is changed', 'updated', [['update', '--pids-limit', '4000', 'NAME']]],
    [
      'its keeper gets a network',
      'network-attached',
      [
        ['network', 'disconnect', 'none', 'KEEPER'],
        ['network', 'connect', network, 'KEEPER'],
      ],
    ],
    ['it is killed', 'killed', [['kill', 'NAME']]],
    ['it is removed', 'ended', [['rm', '-f', 'NAME']]],
    ['its keeper is removed', 'ended', [['rm', '-f', 'KEEPER']]],
    ['it is started anew', 'killed', [['restart', '-t', '0', 'NAME']]],
  ])(
    'is stopped when %s',
    async (_, outcome, calls) => {
      if ((await stateOf()) !== 'running') {
        await start();
      }
      const before = (await deeds()).length;
      for (const words of calls) {
        const place = { NAME: name, KEEPER: await keeperOf(name) } as const;
        const code = await docker(...words.map((word) => (word === 'NAME' || word === 'KEEPER' ? place[word] : word)));
        // What it would start again is gone by then.
        expect(words[0] === 'restart' ? 0 : code, words.join(' ')).toBe(0);
      }
      await expect.poll(async () => (await deeds()).slice(before).map((row) => row.outcome), patience).toContain(outcome);
      await expect.poll(stateOf, patience).toBe('stopped');
      const list = ['ps', '-aq', '--filter', `name=${name}`];
      const left = async () => (await run('docker', list, { env: home.env, timeoutMs: 30_000 })).stdout.toString('utf8');
      await expect.poll(left, patience).toBe('');
    },
    120_000,
  );
});
