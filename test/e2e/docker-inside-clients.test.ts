/** Real clients against the broker: builds, Compose, Testcontainers; each where it is on this machine. */
import { chown, cp, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { composeClients } from '../helpers/compose.ts';
import { dockerInside, type DockerInside } from '../helpers/docker-inside.ts';
import { dockerLacks, workspaceOwner } from '../helpers/docker-lab.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';
import { processEnvironment } from '../../src/system/environment.ts';

const compose = await composeClients();
/** A `node_modules` that holds it; `npm test` fetches one. */
const testcontainers = processEnvironment.get('CASEMATE_TEST_TESTCONTAINERS');

describe.skipIf(!engineOrSkip('docker', await dockerLacks()))('clients of Docker in a sandbox', { timeout: 240_000 }, () => {
  let lab: DockerInside;
  const put = async (path: string, text: string): Promise<void> => {
    const file = join(lab.project, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
    await chown(dirname(file), workspaceOwner, workspaceOwner);
    await chown(file, workspaceOwner, workspaceOwner);
  };

  beforeAll(async () => {
    lab = await dockerInside('{run: true, build: true}');
    expect(await lab.casemate(['create', 'box'])).toMatchObject({ code: 0 });
    expect(await lab.casemate(['start', 'box'])).toMatchObject({ code: 0 });
  });
  afterAll(async () => {
    await lab.casemate(['destroy', 'box', '--confirm', 'box']);
    await lab.casemate(['daemon', 'stop', '--force']);
    await lab.remove();
  });

  it('build an image in stages, whose steps are confined as the sandbox is', async () => {
    await put('image/src/hello', 'hello\n');
    await put(
      'image/Dockerfile',
      [
        'FROM casemate/sandbox AS made',
        'ARG WHO=nobody',
        'ENV COLOUR="light blue"',
        'WORKDIR /app',
        'COPY src/ ./src/',
        'RUN echo "$WHO in $COLOUR" > made && cat src/hello >> made && id -u >> made',
        'RUN grep -hE "^(CapEff|NoNewPrivs|Seccomp):" /proc/self/status >> made; curl -sS http://other.example.com/ | grep -o "no rule allows" >> made',
        'FROM casemate/sandbox',
        'COPY --from=made /app/made /made',
        'ENTRYPOINT ["cat"]',
        'CMD ["/made"]',
      ].join('\n'),
    );
    const built = await lab.inside('docker build --build-arg WHO=somebody -t demo image 2>&1');
    expect(built.out).toContain('Successfully tagged demo:latest');
    const uid = (await lab.inside('id -u')).out.trim();
    const told = await lab.inside('docker run --rm demo');
    expect(told.out.split('\n')).toEqual([
      'somebody in light blue',
      'hello',
      uid,
      'CapEff:\t0000000000000000',
      'NoNewPrivs:\t1',
      'Seccomp:\t2',
      'no rule allows',
      '',
    ]);
    expect((await lab.inside('docker images -q | sort -u | wc -l')).out.trim()).toBe('2');
  });

  it('are told what a build is not offered, and by which rule', async () => {
    const tried = async (...lines: readonly string[]) =>
      (await lab.inside(`printf '%s\\n' ${lines.map((line) => `'${line}'`).join(' ')} | docker build - 2>&1`)).out;
    expect(await tried('FROM casemate/sandbox', 'RUN --mount=type=secret,id=x cat /run/secrets/x')).toContain(
      'RUN --mount needs BuildKit',
    );
    expect(await tried('FROM casemate/sandbox', 'ADD http://192.0.2.1/x /x')).toContain('ADD from an address is not offered');
    expect(await tried('FROM casemate/sandbox', 'LABEL casemate.sandbox=x')).toContain('(rule confinement)');
    expect(await tried('FROM alpine')).toContain('No such image: alpine');
    expect(await tried('FROM casemate/sandbox', 'RUN exit 3')).toContain('returned a non-zero code: 3');
    expect((await lab.inside('docker images -q | sort -u | wc -l')).out.trim()).toBe('2');
  });

  it
    .skipIf(!engineOrSkip('compose', compose.length === 0 ? 'no docker-compose (CASEMATE_TEST_COMPOSE)' : undefined))
    .each(compose)(
    '$name brings up services that wait for one another and find each other by name',
    async ({ place, command }) => {
      await place(lab.project);
      await put('app/site/index', 'site\n');
      await put(
        'app/compose.yaml',
        [
          'services:',
          '  db:',
          '    image: casemate/sandbox',
          '    command: ["perl", "-MIO::Socket::INET", "-e", "my $$s = IO::Socket::INET->new(Listen => 5, LocalPort => 5432, ReuseAddr => 1) or die; while (my $$c = $$s->accept) { print $$c qq(from db\\n); close $$c }"]',
          '    volumes: ["data:/data"]',
          '    ports: ["5432"]',
          '    healthcheck: { test: ["CMD", "true"], interval: 1s }',
          '  web:',
          '    image: casemate/sandbox',
          '    depends_on: { db: { condition: service_healthy } }',
          '    volumes: ["./site:/site:ro"]',
          '    command: ["perl", "-MIO::Socket::INET", "-e", "my $$s = IO::Socket::INET->new(qq(db:5432)) or die; print <$$s>; open my $$f, q(<), q(/site/index); print <$$f>"]',
          'volumes: { data: {} }',
        ].join('\n'),
      );
      const up = await lab.inside(
        `cd app && ${command} up --no-color --abort-on-container-exit --exit-code-from web 2>&1; echo code $?; ${command} down -v 2>&1; docker ps -aq`,
      );
      expect(up.out).toMatch(/web[-_]1 +\| from db/);
      expect(up.out).toMatch(/web[-_]1 +\| site/);
      expect(up.out).toContain('code 0');
      expect(up.out.trim().split('\n').at(-1)).toMatch(/Removed|Removing volume|removed/);
    },
  );

  it.skipIf(
    !engineOrSkip('testcontainers', testcontainers === undefined ? 'no package (CASEMATE_TEST_TESTCONTAINERS)' : undefined),
  )('run tests of Testcontainers', async () => {
    await cp(testcontainers ?? '', join(lab.project, 'tests/node_modules'), { recursive: true });
    await put(
      'tests/test.mjs',
      `import { connect } from 'node:net';
import { GenericContainer, Network, Wait } from 'testcontainers';
const network = await new Network().start();
const server = 'my $s = IO::Socket::INET->new(Listen => 5, LocalPort => 6379, ReuseAddr => 1) or die; $| = 1; print "ready\\n"; while (my $c = $s->accept) { print $c "pong\\n"; close $c }';
const container = await new GenericContainer('casemate/sandbox').withNetwork(network).withNetworkAliases('cache')
  .withCommand(['perl', '-MIO::Socket::INET', '-e', server]).withExposedPorts(6379).withWaitStrategy(Wait.forLogMessage('ready')).start();
for (const host of [container.getHost(), 'cache']) {
  console.log(await new Promise((resolve, reject) => connect(container.getMappedPort(6379), host).on('data', (data) => resolve(String(data).trim())).on('error', reject)));
}
console.log((await container.exec(['echo', 'inside'])).output.trim());
await container.stop();
await network.stop();
`,
    );
    expect(await lab.inside('cd tests && node test.mjs')).toMatchObject({ code: 0, out: 'pong\npong\ninside\n' });
    expect((await lab.inside('docker ps -aq')).out).toBe('');
  });

  it('leave nothing', async () => {
    expect(await lab.casemate(['destroy', 'box', '--confirm', 'box'])).toMatchObject({ code: 0 });
    expect(await lab.left()).toEqual([]);
  });
});
