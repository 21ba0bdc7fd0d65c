/**
 * `npm test`: sets everything up, then types, lint, format, unit tests, tests with real sockets and with real engines, and, as root, the
 * rootless part as an ordinary user. Arguments choose test files (`npm test -- test/unit/cli`) and leave the rest out.
 * The last line is always `N passed, N failed, N skipped`.
 */
import { join } from 'node:path';

import { checkCommand, checkTests, total } from './setup/checks.mjs';
import { fetchDockerClients } from './setup/docker-clients.mjs';
import { startDockerEngine } from './setup/docker-engine.mjs';
import { Failure, main, report } from './setup/failure.mjs';
import { copyFor, ordinaryUser } from './setup/ordinary-user.mjs';
import { bundle, childEnvironment, nodeProgram, root } from './setup/places.mjs';
import { startPodman } from './setup/podman-service.mjs';
import { prepare } from './setup/prepare.mjs';
import { runOpen } from './setup/processes.mjs';

const chosen = process.argv.slice(2);
// In CI an engine that is not there is a failure: a suite that skips everything must not be green.
const required = process.env.CI === 'true' ? (process.env.REQUIRE_ENGINES ?? 'oci,runsc,docker,podman').split(',') : [];
// Tests of the whole way run what was built, as a user would.
const env = { ...requiring(required), CASEMATE_TEST_ENTRY: bundle };

await main(async () => {
  await prepare({ images: ['base', 'claude', 'codex'], forTests: true });
  const docker = await startDockerEngine();
  const podman = await startPodman(join(root, '.cache', 'podman'));
  try {
    const clients = docker.env.DOCKER_HOST === undefined ? {} : await fetchDockerClients();
    const whole = { ...env, ...docker.env, ...podman.env, ...clients };
    const counts = chosen.length > 0 ? [await checkTests('Chosen tests', chosen, { env: whole })] : await checkAll(whole, docker);
    const { passed, failed, skipped } = total(counts);
    process.stdout.write(`\n${passed} passed, ${failed} failed, ${skipped} skipped\n`);
    return failed === 0 ? 0 : 1;
  } finally {
    await podman.stop();
    await docker.stop();
  }
});

/** @param {readonly string[]} engines */
function requiring(engines) {
  return engines.length === 0 ? {} : { REQUIRE_ENGINES: engines.join(',') };
}

async function checkAll(whole, docker) {
  const parts = [
    [() => checkCommand('Types', 'tsc', ['-p', '.'])],
    [() => checkCommand('Lint', 'oxlint', [])],
    [() => checkCommand('Format', 'oxfmt', ['--check'])],
    [() => checkTests('Unit and meta tests', ['--project', 'unit'], { env: whole })],
    // Both wait for the kernel and for programs for much of their time.
    [
      () => checkTests('Tests with real engines', ['--project', 'real'], { env: whole }),
      () => checkTests('Tests with real files and sockets', ['--project', 'beside'], { env: whole, held: true }),
    ],
    ...(process.getuid() === 0 ? [[() => rootlessPart(docker)]] : []),
  ];
  const counts = [];
  for (const atOnce of parts) {
    counts.push(...(await Promise.all(atOnce.map((part) => part().catch(failedPart)))));
  }
  return counts;
}

/** A part that could not be run is one failure, told like any other; the parts behind it still run. */
function failedPart(error) {
  if (error.message === 'interrupted') {
    throw error;
  }
  report(error);
  return { passed: 0, failed: 1, skipped: 0 };
}

/** The same promises without root: an ordinary user with subordinate ids builds its own image and runs its own sandboxes. */
async function rootlessPart(docker) {
  const user = await ordinaryUser();
  const copy = await copyFor(user);
  const modules = join(copy.folder, 'node_modules');
  const own = { ...forgotten(), HOME: user.home, USER: user.name, LOGNAME: user.name, TMPDIR: '/tmp' };
  const options = { cwd: copy.folder, uid: user.uid, gid: user.gid };
  let podman;
  try {
    const entry = join(copy.folder, 'dist/casemate.js');
    const code = await runOpen(nodeProgram(modules), [entry, 'setup', '--image', 'base'], {
      ...options,
      stdout: 2,
      env: childEnvironment(own, modules),
    });
    if (code !== 0) {
      throw new Failure(`casemate setup as the ordinary user ${user.name} failed`, { exitCode: code });
    }
    // As who is in the group docker on other machines: root's engine, used by a user.
    docker.admit(user.gid);
    podman = await startPodman(join(user.home, '.casemate-podman'), user);
    const title = 'Rootless part, as an ordinary user';
    return await checkTests(title, ['--project', 'rootless'], {
      ...options,
      reports: copy.folder,
      env: { ...requiring(required), ...own, ...docker.env, ...podman.env, CASEMATE_TEST_ENTRY: entry },
    });
  } finally {
    await podman?.stop();
    copy.remove();
  }
}

/** Root's own places, and what npm tells its scripts of root's, emptied: an empty variable counts as absent. */
function forgotten() {
  const names = Object.keys(process.env).filter((name) => /^(?:XDG|CASEMATE|npm|NPM)_/.test(name));
  return Object.fromEntries(names.map((name) => [name, '']));
}
