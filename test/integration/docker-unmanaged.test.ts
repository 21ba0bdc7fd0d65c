/** What others do to a sandbox with an engine's own client: it is on record, the state follows, and our own deeds are not among it. */
import { chown } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { run } from '../../src/system/process.ts';
import { makeHome, type Home } from '../helpers/cli.ts';
import { dockerLacks, dockerWaivers, socketOf, workspaceOwner, type LabEngine } from '../helpers/docker-lab.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

interface Deed {
  readonly outcome: string;
  readonly detail: Readonly<Record<string, unknown>>;
}

/** an internal one of our own: it leads nowhere */
const network = `casemate-test-${process.pid}`;
const imitation = `casemate-test-${process.pid}-imitation`;
const patience = { timeout: 30_000, interval: 100 };

interface EngineCase {
  readonly name: LabEngine;
  /** its own client, and what it is started with */
  readonly client: readonly [string, ...string[]];
  /** deeds that it has or tells of, which end the sandbox */
  readonly ending: readonly (readonly [string, string, readonly (readonly string[])[]])[];
  /** whether a copy of a file is among its events */
  readonly tellsCopies: boolean;
}

const endings: EngineCase['ending'] = [
  ['it is killed', 'killed', [['kill', 'NAME']]],
  ['it is removed', 'ended', [['rm', '-f', 'NAME']]],
  ['its keeper is removed', 'ended', [['rm', '-f', 'KEEPER']]],
];

const cases: readonly EngineCase[] = [
  {
    name: 'docker',
    client: ['docker'],
    ending: [
      ['a limit is changed', 'updated', [['update', '--pids-limit', '4000', 'NAME']]],
      [
        'its keeper gets a network',
        'network-attached',
        [
          ['network', 'disconnect', 'none', 'KEEPER'],
          ['network', 'connect', network, 'KEEPER'],
        ],
      ],
      ...endings,
      ['it is started anew', 'killed', [['restart', '-t', '0', 'NAME']]],
    ],
    tellsCopies: true,
  },
  {
    name: 'podman',
    client: ['podman', '--url', `unix://${socketOf('podman')}`],
    // A container without a network gets none from Podman, and a changed limit is no event of version 4.3.
    ending: [
      // With the keeper goes whatever is in its namespaces.
      ...endings.map(([when, outcome, calls]) => [when, outcome, calls.map((words) => withAll(words))] as const),
      ['it is started anew', 'ended', [['restart', '-t', '0', 'NAME']]],
    ],
    tellsCopies: false,
  },
];

function withAll(words: readonly string[]): readonly string[] {
  return words.includes('KEEPER') ? ['rm', '--force', '--depend', 'KEEPER'] : words;
}

const present = await Promise.all(cases.map(async ({ name }) => engineOrSkip(name, await dockerLacks(name))));

describe.each(cases.filter((_, index) => present[index] === true))('a sandbox under $name', (engine) => {
  let home: Home;
  let name: string;

  beforeAll(async () => {
    home = await makeHome();
    await chown(home.project, workspaceOwner, workspaceOwner);
    const waivers = dockerWaivers.flatMap((layer) => ['--waive', layer]);
    expect((await home.casemate(['create', 'box', '--engine', engine.name, ...waivers])).err).toBe('');
    const { sandbox } = JSON.parse((await home.casemate(['inspect', 'box', '--json'])).out);
    name = `casemate-${sandbox.id}`;
    if (engine.name === 'docker') {
      expect(await client('network', 'create', '--driver', 'bridge', '--internal', network)).toBe(0);
    }
  }, 120_000);
  afterAll(async () => {
    await home.remove();
    await (engine.name === 'docker' ? client('network', 'rm', network) : undefined);
  }, 60_000);

  const [program, ...first] = engine.client;
  const ask = async (args: readonly string[]) => run(program, [...first, ...args], { env: home.env, timeoutMs: 60_000 });
  const client = async (...args: readonly string[]): Promise<number> => (await ask(args)).exitCode;
  /** It may have been made before its sandbox, under another name. */
  const keeperOf = async (container: string): Promise<string> => {
    const args = ['inspect', container, '--format', '{{.HostConfig.NetworkMode}}'];
    const { stdout } = await ask(args);
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
    expect(await client('exec', name, 'true')).toBe(0);
    await deed('command');
    expect((await deeds()).map(({ outcome }) => outcome)).toEqual(['command']);
  }, 120_000);

  test('runs on where nothing of what was planned changed: a command, a pause, a copy', async () => {
    // It lasts until it has been looked at: what it was is asked for afterwards.
    const lasting = client('exec', '--user', '0', '--privileged', name, 'sh', '-c', 'sleep 10', 'secret-word');
    await expect.poll(async () => (await deed('command')).detail['privileged'], patience).toBe(true);
    const command = await deed('command');
    expect(command.detail).toMatchObject({ part: 'sandbox', program: 'sh', user: '0', leaves: 'as-planned' });
    expect(JSON.stringify(command)).not.toContain('secret-word');
    await lasting;
    await client('pause', name);
    await deed('paused');
    expect(await stateOf()).toBe('running');
    await client('unpause', name);
    await deed('resumed');
    expect(await client('cp', `${name}:/etc/hostname`, join(home.root, 'copied'))).toBe(0);
    await (engine.tellsCopies ? deed('read') : undefined);
    expect((await home.casemate(['exec', 'box', '--', 'true'])).code).toBe(0);
    expect(await stateOf()).toBe('running');
  }, 120_000);

  test('is itself where another container has its labels', async () => {
    // Times of containers are in seconds; one that was made in the same as ours has not its name.
    const told = JSON.parse((await ask(['inspect', name])).stdout.toString('utf8'))[0];
    const copied = Object.entries(told.Config.Labels).flatMap(([label, value]) => ['--label', `${label}=${String(value)}`]);
    expect(await client('create', '--name', imitation, '--network', 'none', ...copied, told.Image, 'true')).toBe(0);
    await deed('imitated');
    expect(await stateOf()).toBe('running');
    const { code, out } = await home.casemate(['exec', 'box', '--', 'hostname']);
    expect([code, out.trim()]).toEqual([0, 'box']);
    // Nor for a daemon that knows of nothing yet.
    await home.casemate(['daemon', 'stop', '--force']);
    await start();
    expect(await stateOf()).toBe('running');
    await client('rm', '--force', imitation);
  }, 120_000);

  test.each(engine.ending)(
    'is stopped when %s',
    async (_, outcome, calls) => {
      if ((await stateOf()) !== 'running') {
        await start();
      }
      const before = (await deeds()).length;
      for (const words of calls) {
        const place = { NAME: name, KEEPER: await keeperOf(name) } as const;
        const code = await client(...words.map((word) => (word === 'NAME' || word === 'KEEPER' ? place[word] : word)));
        // What it would start again is gone by then.
        expect(words[0] === 'restart' ? 0 : code, words.join(' ')).toBe(0);
      }
      await expect.poll(async () => (await deeds()).slice(before).map((row) => row.outcome), patience).toContain(outcome);
      await expect.poll(stateOf, patience).toBe('stopped');
      const list = ['ps', '-aq', '--filter', `name=${name}`];
      const left = async () => (await ask(list)).stdout.toString('utf8');
      await expect.poll(left, patience).toBe('');
    },
    120_000,
  );
});
