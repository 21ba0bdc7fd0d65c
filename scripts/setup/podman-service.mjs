/**
 * Podman's service for the tests, of root or of an ordinary user: a socket, images and containers of its own, ended with the
 * tests, also when they are killed. Its images stay where it is told to keep them.
 */
import { spawn } from 'node:child_process';
import { chownSync, closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { endService, endThoseIn, removeFolder, serves, unmountBelow } from './engine-service.mjs';
import { childEnvironment } from './places.mjs';
import { runQuiet, which } from './processes.mjs';
import { step } from './progress.mjs';

/**
 * What tests find it by, and what ends it; where there is none the tests are left to the machine's own.
 * @param {string} data private folder @param {{ uid: number, gid: number, home: string, name: string }} [user] default: root
 * @returns {Promise<{ env: Record<string, string>, stop: () => Promise<void> }>}
 */
export async function startPodman(data, user) {
  const none = { env: {}, stop: async () => {} };
  if (process.getuid() !== 0 || which('podman') === undefined) {
    return none;
  }
  const places = placesOf(data, user);
  try {
    const title = user === undefined ? 'Starting Podman for the tests' : 'Starting Podman for the tests, as an ordinary user';
    const service = await step(title, () => start(places, user));
    return { env: { CONTAINER_HOST: `unix://${places.socket}` }, stop: () => end(service, places, user) };
  } catch (error) {
    rmSync(places.run, { recursive: true, force: true });
    process.stderr.write(`casemate: the tests have no Podman of their own: ${error.message}\n`);
    return none;
  }
}

function placesOf(data, user) {
  const run = mkdtempSync(join(tmpdir(), 'casemate-podman-'));
  mkdirSync(data, { recursive: true, mode: 0o700 });
  if (user !== undefined) {
    chownSync(run, user.uid, user.gid);
    chownSync(data, user.uid, user.gid);
  }
  return { data, run, socket: join(run, 'podman.sock'), log: join(data, 'service.log') };
}

async function start({ data, run, socket, log }, user) {
  // Containers of an earlier run are gone with its folder, which is written down there; images are kept elsewhere.
  rmSync(join(data, 'storage', 'libpod'), { recursive: true, force: true });
  // Its log of events is cut often, as it is now and then where Podman is used for long: listeners are told again what is left.
  writeFileSync(settingsIn(run), '[engine]\nevents_logger = "file"\nevents_logfile_max_size = "32k"\n');
  const output = openSync(log, 'w', 0o600);
  // Without systemd it cannot ask for groups, and what it would choose by itself differs from machine to machine.
  const args = [
    '--runtime=runc',
    '--cgroup-manager=cgroupfs',
    '--storage-driver=overlay',
    `--root=${join(data, 'storage')}`,
    `--runroot=${join(run, 'containers')}`,
    `--tmpdir=${join(run, 'tmp')}`,
    'system',
    'service',
    '--time=0',
    `unix://${socket}`,
  ];
  const service = spawn('setpriv', ['--pdeathsig', 'TERM', ...identity(user), '--', which('podman'), ...args], {
    stdio: ['ignore', output, output],
    cwd: run,
    env: environmentOf(run, user),
  });
  closeSync(output);
  service.once('error', () => {});
  await serves(service, { name: 'podman', socket, log });
  return service;
}

function identity(user) {
  return user === undefined ? [] : ['--reuid', String(user.uid), '--regid', String(user.gid), '--init-groups'];
}

function settingsIn(run) {
  return join(run, 'containers.conf');
}

function environmentOf(run, user) {
  // Where it finds another service named, also by an empty variable, it would be that one's client.
  const { CONTAINER_HOST: _named, CONTAINER_CONNECTION: _chosen, ...base } = childEnvironment();
  const settings = { CONTAINERS_CONF: settingsIn(run) };
  return user === undefined
    ? { ...base, ...settings }
    : {
        ...settings,
        PATH: base.PATH,
        HOME: user.home,
        USER: user.name,
        LOGNAME: user.name,
        LANG: 'C.UTF-8',
        XDG_RUNTIME_DIR: run,
      };
}

async function end(service, { data, run, log }, user) {
  await endService(service, log);
  if (user !== undefined) {
    // A user's Podman leaves a process that holds its user namespace; files of subordinate ids go in there alone.
    const clean = [
      'podman',
      `--root=${join(data, 'storage')}`,
      `--runroot=${join(run, 'containers')}`,
      `--tmpdir=${join(run, 'tmp')}`,
    ];
    await runQuiet('setpriv', [...identity(user), '--', ...clean, 'system', 'migrate'], {
      cwd: run,
      env: environmentOf(run, user),
    });
  }
  // As a user it is two processes, and the inner one outlives the other where that was killed.
  endThoseIn(run);
  await unmountBelow(data);
  removeFolder(run);
}
