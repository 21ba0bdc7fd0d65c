/** The whole way with the engines `docker` and `podman`: the same words, the same gateway, and the losses said and accepted by name. */
import { chown, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { makeHome, type Home } from '../helpers/cli.ts';
import { exampleSite, keyInEnvironment as env, realKey, type ExampleSite } from '../helpers/example-site.ts';
import { dockerLacks, socketOf, workspaceOwner, type LabEngine } from '../helpers/docker-lab.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';
import { dockerClient } from '../../src/engines/docker/docker-client.ts';
import { eventually } from '../../src/proof/eventually.ts';
import { run } from '../../src/system/process.ts';

const waivers = ['--waive', 'user-namespace', '--waive', 'disk-limit'];

const engines = (
  [
    { name: 'docker', engine: 'docker', more: {}, is: engineOrSkip('docker', await dockerLacks()) },
    {
      name: 'docker, over an uplink and as if on another kernel',
      engine: 'docker',
      more: { CASEMATE_DOCKER_UPLINK: 'host', CASEMATE_DOCKER_KERNEL: 'other' },
      is: engineOrSkip('docker', await dockerLacks()),
    },
    { name: 'podman', engine: 'podman', more: {}, is: engineOrSkip('podman', await dockerLacks('podman')) },
  ] as const
).filter(({ is }) => is);

// Some twenty commands, each a new process.
describe.each(engines)('a user whose engine is $name', { timeout: 240_000 }, ({ engine, more }) => {
  let home: Home;
  let site: ExampleSite;

  beforeAll(async () => {
    home = await makeHome('node', more);
    await chown(home.project, workspaceOwner, workspaceOwner);
    site = await exampleSite(home, { policy: [`engine: ${engine}`], allow: 'GET /v1/**', answer: 'hello\n' });
  });
  afterAll(async () => {
    site.close();
    await home.remove();
  });

  it('is told in the plan what is lacking, and starts nothing until that is accepted by name', async () => {
    const plan = await home.casemate(['plan'], { env });
    expect(plan.out).toMatch(new RegExp(`engine +${engine} \\(runc\\)`));
    expect(plan.out).toContain('needs --waive user-namespace');
    expect(plan.out.includes('carried by a container on the host')).toBe('CASEMATE_DOCKER_UPLINK' in more);
    expect(plan.out.includes('its kernel is taken for another one')).toBe('CASEMATE_DOCKER_KERNEL' in more);
    const refused = await home.casemate(['run', '--', 'true'], { env });
    expect(refused).toMatchObject({ code: 125 });
    expect(refused.err).toContain('--waive user-namespace --waive disk-limit');
    expect((await home.casemate(['run', ...waivers, '--', 'sh', '-c', 'exit 7'], { env })).code).toBe(7);
  });

  it.skipIf('CASEMATE_DOCKER_UPLINK' in more)(
    'gets no other engine than the one that is named where it is asked, and doctor speaks of the same',
    async () => {
      const name = engine === 'docker' ? 'DOCKER_HOST' : 'CONTAINER_HOST';
      const elsewhere = { env: { ...env, [name]: 'unix:///nowhere/engine.sock' } };
      // The daemon runs and has found its engine.
      expect(await home.casemate(['plan'], { env })).toMatchObject({ code: 0 });
      const refused = await home.casemate(['run', ...waivers, '--', 'true'], elsewhere);
      expect([refused.code, refused.err]).toEqual([
        2,
        expect.stringMatching(
          new RegExp(`daemon that runs uses ${engine} at .*, and here unix:///nowhere/engine.sock \\(by ${name}.*\\) is meant`),
        ),
      ]);
      expect(refused.err).toContain('casemate daemon stop');
      const chosen = await home.casemate(['plan', '--engine', 'auto'], elsewhere);
      expect(chosen.out).toContain(`${engine} cannot be used: the daemon that runs uses ${engine} at`);
      const rows = JSON.parse((await home.casemate(['doctor', '--layers', '--json'], elsewhere)).out);
      expect(rows).toContainEqual({
        check: `${engine} of the daemon`,
        verdict: 'absent',
        detail: expect.stringContaining('/nowhere/engine.sock'),
      });
      // Where the same is meant, nothing is said of it.
      const same = JSON.parse((await home.casemate(['doctor', '--layers', '--json'], { env })).out);
      expect(same).not.toContainEqual(expect.objectContaining({ check: `${engine} of the daemon` }));
    },
  );

  it('reaches what is allowed with the key put in outside, nothing else, in one sandbox from create to destroy', async () => {
    expect(await home.casemate(['create', 'box', ...waivers], { env })).toMatchObject({ code: 0 });
    expect(await home.casemate(['start', 'box'], { env })).toMatchObject({ code: 0 });
    const inside = async (script: string) => await home.casemate(['exec', 'box', '--', 'sh', '-c', script]);
    const allowed = await inside(
      'echo "$EXAMPLE_KEY"; curl -sS -H "Authorization: Bearer $EXAMPLE_KEY" https://api.example.com/v1/x',
    );
    expect(allowed.out).toMatch(/^cmph_.*\nhello\n$/);
    expect(allowed.out).not.toContain(realKey);
    expect(site.seen).toMatchObject([{ authorization: `Bearer ${realKey}` }]);
    expect((await inside('curl -sS https://other.example.com/')).out).toContain('no rule allows other.example.com');
    expect((await inside('curl -sS https://api.example.com/v2')).out).toContain('blocked by the network policy');
    expect((await inside('curl -sS --noproxy "*" -m 5 http://192.0.2.1/; echo code $?')).out).toBe('code 7\n');
    // The alarm names the program, however the connection came. The search for it is given up where the machine is busy.
    const named = await eventually(async () => {
      await inside('curl -sS -H "X-Other: $EXAMPLE_KEY" https://api.example.com/v1/x');
      const { out } = await home.casemate(['journal', 'query', '--action', 'alarm.phantom-misplaced']);
      return out.includes('process=curl') ? true : undefined;
    }, 30_000);
    expect(named).toBe(true);
    expect((await inside('echo kept > ~/kept; echo made > made; id -un')).out).toBe('agent\n');
    expect(await readFile(join(home.project, 'made'), 'utf8')).toBe('made\n');

    const { daemon } = JSON.parse((await home.casemate(['daemon', 'status', '--json'])).out);
    process.kill(daemon.pid, 'SIGKILL');
    expect((await inside('cat ~/kept')).out).toBe('kept\n');
    expect((await inside('curl -sS https://other.example.com/')).out).toContain('no rule allows other.example.com');

    expect(await home.casemate(['stop', 'box'])).toMatchObject({ code: 0 });
    expect(await containers(home, engine)).toEqual([]);
    expect(await home.casemate(['start', 'box'], { env })).toMatchObject({ code: 0 });
    expect((await inside('cat ~/kept')).out).toBe('kept\n');
    expect(await home.casemate(['destroy', 'box', '--confirm', 'box'])).toMatchObject({ code: 0 });
    expect(await containers(home, engine)).toEqual([]);
    expect((await run('ls', ['-A', home.project], { env: { PATH: '/usr/bin:/bin' } })).stdout.toString('utf8')).toBe('made\n');
  }, 180_000);
});

/** What this installation has made and is still there. */
async function containers({ paths }: Home, engine: LabEngine): Promise<unknown> {
  const mark = await readFile(join(paths.state, engine, 'mark'), 'utf8');
  // A keeper may wait for the next one.
  const filters = JSON.stringify({ label: [`casemate.engine=${mark}`, 'casemate.part=sandbox'] });
  return dockerClient(socketOf(engine)).must('GET', '/containers/json', { query: { all: true, filters } });
}
