/** The programs of the host that casemate starts, and the Debian packages that bring them. */
import { existsSync } from 'node:fs';

import { Failure } from './failure.mjs';
import { runQuiet, which } from './processes.mjs';
import { step, stepFault } from './progress.mjs';

/** A program is looked for by name, a file by its absolute path. */
const productNeeds = [
  { need: 'runc', package: 'runc' },
  { need: 'newuidmap', package: 'uidmap' },
  { need: 'newgidmap', package: 'uidmap' },
  { need: 'mmdebstrap', package: 'mmdebstrap' },
  { need: 'unshare', package: 'util-linux' },
  { need: 'nsenter', package: 'util-linux' },
  { need: 'setpriv', package: 'util-linux' },
  { need: 'perl', package: 'perl-base' },
  { need: 'mount', package: 'mount' },
  { need: 'mkfs.ext4', package: 'e2fsprogs' },
  { need: 'git', package: 'git' },
  { need: 'ip', package: 'iproute2' },
  { need: '/etc/ssl/certs/ca-certificates.crt', package: 'ca-certificates' },
];

/** What the tests start on the host beside that, as callers, attackers and judges. */
const testNeeds = [
  { need: 'curl', package: 'curl' },
  { need: 'python3', package: 'python3' },
  { need: 'script', package: 'bsdutils' },
  { need: 'useradd', package: 'passwd' },
  { need: 'bwrap', package: 'bubblewrap' },
  { need: 'setsid', package: 'util-linux' },
];

/** Whose tests are left out, with a reason, where no package brings it; in CI that is a failure. */
const testWishes = [
  { need: 'runsc', package: 'runsc' },
  { need: 'dockerd', package: 'docker.io' },
  { need: 'podman', package: 'podman' },
  // Run inside a sandbox that is offered Docker; Debian 12's needs the other one, which Debian 13 has not.
  { need: 'docker-compose', package: 'docker-compose' },
  { need: '/usr/share/doc/python3-distutils', package: 'python3-distutils' },
  // Started by the tests, on loopback and with keys of their own.
  { need: '/usr/sbin/sshd', package: 'openssh-server', isStarted: true },
];

/** In containers and images: what is installed is not started as a service (Debian policy, 9.3.3, invoke-rc.d). */
const startsNothing = '/usr/sbin/policy-rc.d';

/** Installs what is missing through apt where we may; otherwise says in one line what to install. */
export async function installPrograms({ forTests = false } = {}) {
  const needs = forTests ? [...productNeeds, ...testNeeds] : productNeeds;
  const missing = needs.filter(({ need }) => !present(need));
  if (missing.length > 0) {
    await installMissing(needs, missing);
  }
  if (forTests) {
    // Nobody gets a login from the network by running tests.
    const wishes = testWishes.filter(({ isStarted }) => isStarted !== true || existsSync(startsNothing));
    await installWishes(wishes.filter(({ need }) => !present(need)));
  }
}

async function installMissing(needs, missing) {
  const packages = [...new Set(missing.map((row) => row.package))];
  const apt = which('apt-get');
  if (apt === undefined) {
    throw new Failure(`these programs are not installed: ${missing.map(({ need }) => need).join(', ')}`, {
      hint: 'Install them with the package manager of this machine, then run this again.',
    });
  }
  const prefix = await privilege();
  if (prefix === undefined) {
    throw new Failure(`these Debian packages are not installed: ${packages.join(' ')}`, {
      hint: `Run as root: apt-get install ${packages.join(' ')}`,
    });
  }
  await step(`Installing Debian packages: ${packages.join(' ')}`, (say) => aptInstall([...prefix, apt], packages, say));
  const still = needs.filter(({ need }) => !present(need)).map(({ need }) => need);
  if (still.length > 0) {
    throw new Failure(`apt-get ended well, but these are still missing: ${still.join(', ')}`);
  }
}

async function installWishes(wishes) {
  const [apt, prefix] = [which('apt-get'), await privilege()];
  if (wishes.length === 0 || apt === undefined || prefix === undefined) {
    return;
  }
  const packages = wishes.map((row) => row.package);
  await step(`Installing Debian packages, where there are such: ${packages.join(' ')}`, async (say) => {
    const install = (names) =>
      aptInstall([...prefix, apt], names, say).then(
        () => true,
        () => false,
      );
    if (!(await install(packages))) {
      // One that this release has not would keep out the others.
      for (const name of packages) {
        await install([name]);
      }
    }
  });
}

function present(need) {
  return need.startsWith('/') ? existsSync(need) : which(need) !== undefined;
}

/** What must stand before a command to run it as root; `undefined` where that needs a password or is not allowed. */
async function privilege() {
  if (process.getuid?.() === 0) {
    return ['env', 'DEBIAN_FRONTEND=noninteractive'];
  }
  const sudo = which('sudo');
  if (sudo === undefined || (await runQuiet(sudo, ['-n', 'true'])).code !== 0) {
    return undefined;
  }
  return [sudo, '-n', 'env', 'DEBIAN_FRONTEND=noninteractive'];
}

/** Package lists are fetched only where the first try fails: on most machines they are there and new enough. */
async function aptInstall(apt, packages, onLine) {
  const patience = ['-o', 'DPkg::Lock::Timeout=120', '-o', 'Acquire::Retries=3'];
  const call = (args) => runQuiet(apt[0], [...apt.slice(1), ...patience, ...args], { onLine });
  const install = ['install', '--yes', '--no-install-recommends', ...packages];
  if ((await call(install)).code === 0) {
    return;
  }
  const update = await call(['update']);
  const result = await call(install);
  if (result.code !== 0) {
    throw stepFault(
      'apt-get',
      { ...result, tail: [...update.tail.slice(-6), ...result.tail] },
      `Run as root: apt-get install ${packages.join(' ')}`,
    );
  }
}
