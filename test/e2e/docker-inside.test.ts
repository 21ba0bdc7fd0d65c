/** Docker for programs inside a sandbox, with the real client: what they make is part of the sandbox and sees no more than it. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { dockerInside, type DockerInside } from '../helpers/docker-inside.ts';
import { dockerLacks } from '../helpers/docker-lab.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

describe.skipIf(!engineOrSkip('docker', await dockerLacks()))('a sandbox that is offered Docker', { timeout: 240_000 }, () => {
  let lab: DockerInside;
  let foreign = '';

  beforeAll(async () => {
    lab = await dockerInside('{run: true}');
    expect(await lab.casemate(['create', 'box'])).toMatchObject({ code: 0 });
    expect(await lab.casemate(['start', 'box'])).toMatchObject({ code: 0 });
  });
  afterAll(async () => {
    await lab.casemate(['destroy', 'box', '--confirm', 'box']);
    await (foreign === '' ? Promise.resolve('') : lab.host('rm', '-f', foreign));
    await lab.casemate(['daemon', 'stop', '--force']);
    await lab.remove();
  });

  it('is told so in the plan', async () => {
    expect((await lab.casemate(['plan'])).out).toMatch(/docker +run, images: only its own images; half of memory/);
  });

  it('runs containers with streams and exit codes as Docker does', async () => {
    const told = await lab.inside('echo words | docker run --rm -i casemate/sandbox sh -c "cat; id -u; exit 7"; echo code $?');
    expect(told.out).toBe(`words\n${(await lab.inside('id -u')).out}code 7\n`);
    const script = [
      'docker run -d --name web -p 8000:8000 casemate/sandbox sh -c "echo began; sleep 600"',
      'docker ps --format "{{.Names}} {{.Ports}}"',
      'until docker logs web | grep began; do sleep 0.2; done',
      'docker exec web sh -c "echo in it"',
      'docker inspect --format "{{.State.Status}} {{.Config.User}}" web',
    ].join(' && ');
    const { out, err } = await lab.inside(script);
    expect(err).toBe('');
    expect(out.split('\n').slice(1, 4)).toEqual(['web 0.0.0.0:8000->8000/tcp', 'began', 'in it']);
  });

  it('has half of its limits, and that is as planned', async () => {
    expect((await lab.casemate(['inspect', 'box'])).out).toMatch(
      /specification\.kernel-view +\d+ observations from outside, all as planned/,
    );
  });

  it('gives them the confinement of the sandbox, seen from the host', async () => {
    const mark = await readFile(join(lab.paths.state, 'docker/mark'), 'utf8');
    const ids = (await lab.host('ps', '--filter', `label=casemate.engine=${mark}`, '--format', '{{.ID}}')).split('\n');
    const all = JSON.parse(await lab.host('inspect', ...ids));
    const [sandbox, nested] = ['sandbox', 'nested'].map((part) =>
      all.find((one: { Config: { Labels: Record<string, string> } }) => one.Config.Labels['casemate.part'] === part),
    );
    for (const name of [
      'CapDrop',
      'CapAdd',
      'SecurityOpt',
      'Privileged',
      'PidMode',
      'IpcMode',
      'UTSMode',
      'UsernsMode',
      'Devices',
      'MaskedPaths',
      'ReadonlyPaths',
      'NetworkMode',
      'Ulimits',
      'Runtime',
    ]) {
      expect({ [name]: nested.HostConfig[name] }).toEqual({ [name]: sandbox.HostConfig[name] });
    }
    expect(nested.HostConfig.NetworkMode).toMatch(/^container:[0-9a-f]{64}$/);
    expect(nested.Config.User).toBe((await lab.inside('echo $(id -u):$(id -g)')).out.trim());
    expect(nested.HostConfig.Memory + sandbox.HostConfig.Memory).toBeLessThan(2 * 1024 ** 3);
    expect(nested.HostConfig.PidsLimit + sandbox.HostConfig.PidsLimit).toBeLessThanOrEqual(512);
  });

  it('has them reach what the sandbox reaches, by the same gateway', async () => {
    const told = await lab.inside(
      'docker run --rm casemate/sandbox sh -c "curl -sS http://other.example.com/; curl -sS -m 3 http://192.0.2.1/; echo code \\$?"',
    );
    expect(told.out).toContain('no rule allows other.example.com');
    expect(told.out).toContain('code 7');
  });

  it('shows them the workspace as the sandbox has it, protected names included, and follows no link', async () => {
    await mkdir(join(lab.root, 'outside'));
    await writeFile(join(lab.root, 'outside/secret'), 'outside\n');
    const told = await lab.inside(
      [
        'mkdir -p src && echo mine > src/file',
        'docker run --rm -v /workspace/src:/src casemate/sandbox sh -c "cat /src/file; echo back > /src/out"; cat src/out',
        'docker run --rm -v /workspace:/w casemate/sandbox sh -c "touch /w/.vscode/tasks.json || mv /w/.vscode /w/x || rm -rf /w/.vscode"',
        `ln -s ${lab.root}/outside link; docker run --rm -v /workspace/link:/l casemate/sandbox cat /l/secret`,
        `ln -s ${lab.root}/outside src/link; docker run --rm -v /workspace/src/link/secret:/l casemate/sandbox cat /l`,
        'docker run --rm -v /workspace/src/file:/one casemate/sandbox cat /one',
      ].join('; '),
    );
    expect(told.out).toBe('mine\nback\nmine\n');
    expect(told.err).toContain('Read-only file system');
    expect(told.err).toContain('/workspace/link is a symbolic link');
    expect(told.err).toContain('/workspace/src/link/secret leads through a symbolic link');
  });

  it('lets it neither see nor touch a container of somebody else', async () => {
    foreign = await lab.host('run', '-d', '--network', 'none', '--entrypoint', 'sleep', await imageOf(lab), '600');
    const told = await lab.inside(
      `for what in inspect stop "rm -f" logs "exec -i"; do docker $what ${foreign} true; done; docker ps -aq --no-trunc`,
    );
    expect(told.out).not.toContain(foreign);
    expect(told.err.match(/No such container/g)?.length).toBeGreaterThanOrEqual(5);
    expect(await lab.host('inspect', '--format', '{{.State.Status}}', foreign)).toBe('running');
  });

  it('knows its containers again after the daemon was killed', async () => {
    const { daemon } = JSON.parse((await lab.casemate(['daemon', 'status', '--json'])).out);
    process.kill(daemon.pid, 'SIGKILL');
    const told = await lab.inside('docker exec web echo again; docker stop -t 0 web; docker start web; docker rm -f web');
    expect(told.out).toBe('again\nweb\nweb\nweb\n');
  });

  it('removes no volume that a container may see, whatever order they are asked for in', async () => {
    const told = await lab.inside(
      'docker run -d --name one -v /data casemate/sandbox sleep 600 >/dev/null; v=$(docker inspect -f "{{range .Mounts}}{{.Name}}{{end}}" one); ' +
        'docker run -d --name two -v $v:/d casemate/sandbox sleep 600 >/dev/null; docker exec two sh -c "echo kept > /d/f"; docker rm -f -v one; ' +
        'docker exec two cat /d/f; docker volume rm $v; docker rm -f two; docker volume rm $v >/dev/null && echo gone',
    );
    expect(told.out).toBe('one\nkept\ntwo\ngone\n');
    expect(told.err).toContain('in use');
  });

  it('takes all of it along when it goes', async () => {
    await lab.inside('docker volume create kept; docker run -d -v kept:/k -v /workspace/src:/s casemate/sandbox sleep 600');
    expect((await lab.left()).length).toBeGreaterThanOrEqual(3);
    expect(await lab.casemate(['destroy', 'box', '--confirm', 'box'])).toMatchObject({ code: 0 });
    expect(await lab.left()).toEqual([]);
    const journal = (await lab.casemate(['journal', 'query', '--json'])).out;
    expect(journal).toContain('"docker.create"');
    expect(journal).toContain('"docker.denied"');
  });
});

/** Of the sandbox, as the engine knows it. */
async function imageOf({ host }: DockerInside): Promise<string> {
  return host(
    'inspect',
    '--format',
    '{{.Image}}',
    (await host('ps', '--filter', 'label=casemate.part=sandbox', '-q')).split('\n')[0] ?? '',
  );
}
