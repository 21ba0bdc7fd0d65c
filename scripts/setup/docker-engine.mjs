/**
 * A Docker Engine of the tests' own: its socket, its containers and its settings are not the machine's, it makes no bridge and
 * no packet rules, and it ends with the tests, also when they are killed. Its images stay in `.cache`, so that they are
 * imported once.
 */
import { spawn } from 'node:child_process';
import { chmodSync, chownSync, closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { endService, removeFolder, serves, unmountBelow, until } from './engine-service.mjs';
import { childEnvironment, root } from './places.mjs';
import { which } from './processes.mjs';
import { step } from './progress.mjs';

const none = { env: {}, stop: async () => {}, admit: () => {} };

/**
 * What tests find it by, and what ends it; where it cannot be started the tests are left to the machine's own engine, if
 * there is one.
 * `admit`: whoever is of that group may use it from then on.
 * @returns {Promise<{ env: Record<string, string>, stop: () => Promise<void>, admit: (gid: number) => void }>}
 */
export async function startDockerEngine(data = join(root, '.cache', 'docker')) {
  if (process.getuid() !== 0 || which('dockerd') === undefined) {
    return none;
  }
  const places = placesOf(data);
  try {
    const engine = await step('Starting a Docker Engine for the tests', () => start(places));
    return {
      env: { DOCKER_HOST: `unix://${places.socket}` },
      stop: () => end(engine, places),
      admit: (gid) => admit(gid, places),
    };
  } catch (error) {
    rmSync(places.run, { recursive: true, force: true });
    process.stderr.write(`casemate: the tests have no Docker Engine of their own: ${error.message}\n`);
    return none;
  }
}

function admit(gid, { run, socket }) {
  chmodSync(run, 0o711);
  chownSync(socket, 0, gid);
  chmodSync(socket, 0o660);
}

/** The path of a socket is short, so what runs lies in the folder for temporary files, and what stays in `data`. */
function placesOf(data) {
  mkdirSync(data, { recursive: true });
  const run = mkdtempSync(join(tmpdir(), 'casemate-dockerd-'));
  return { data, run, socket: join(run, 'docker.sock'), pid: join(data, 'engine.pid'), log: join(data, 'engine.log') };
}

async function start({ data, run, socket, pid, log }) {
  await until(() => !isHeld(pid), 'another test run of this checkout uses its folder');
  // The machine's own settings would be read otherwise, and are another engine's.
  const settings = join(run, 'daemon.json');
  writeFileSync(settings, '{}');
  const args = [
    `--config-file=${settings}`,
    `--host=unix://${socket}`,
    `--data-root=${join(data, 'data')}`,
    `--exec-root=${join(run, 'exec')}`,
    `--pidfile=${pid}`,
    '--log-level=warn',
    '--bridge=none',
    '--iptables=false',
    '--ip6tables=false',
    '--ip-forward=false',
    '--ip-masq=false',
    // Where containerd is a service of the machine it is used, in a namespace of its own.
    '--containerd-namespace=casemate-test',
    '--containerd-plugins-namespace=casemate-test-plugins',
    '--exec-opt=native.cgroupdriver=cgroupfs',
  ];
  const output = openSync(log, 'w', 0o600);
  // Whoever kills the tests at once has the engine end as well: the kernel tells it that its parent is gone.
  const engine = spawn('setpriv', ['--pdeathsig', 'TERM', '--', which('dockerd'), ...args], {
    stdio: ['ignore', output, output],
    env: childEnvironment(),
  });
  closeSync(output);
  engine.once('error', () => {});
  await serves(engine, { name: 'dockerd', socket, log });
  return engine;
}

async function end(engine, { run, log }) {
  await endService(engine, log);
  await unmountBelow(run);
  removeFolder(run);
}

/** Whether a dockerd still has this folder: one whose tests were killed takes a moment to end. */
function isHeld(file) {
  try {
    return readFileSync(`/proc/${Number(readFileSync(file, 'utf8'))}/cmdline`, 'utf8').includes(file);
  } catch {
    return false;
  }
}
