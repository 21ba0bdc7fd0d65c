/** The packages of the lock file, installed by the host's own npm with the host's own settings. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { Failure } from './failure.mjs';
import { nodeModules, nodePackage, root } from './places.mjs';
import { runQuiet } from './processes.mjs';
import { step, stepFault } from './progress.mjs';

/** Installs what is missing; does nothing, and needs no network, where `node_modules` is what the lock file says. */
export async function installPackages() {
  if (matchesLock()) {
    return;
  }
  await step('Installing npm packages, Node 24 among them', async (say) => {
    const result = await npm(['ci'], say);
    // `npm ci` wants the packages of every platform in the lock file, and some are on no registry that made it. The
    // other way installs the same versions with the same hashes and leaves package.json and the lock file alone.
    const last = result.refusesLock ? await npm(['install', '--no-save'], say) : result;
    if (last.code !== 0) {
      throw stepFault('npm', last, 'See above; npm uses your own settings (npm config list). Then run this again.');
    }
    if (!matchesLock()) {
      throw new Failure('npm ended well, but node_modules is not what package-lock.json says', {
        hint: 'Remove node_modules, then run this again.',
      });
    }
  });
}

function matchesLock() {
  const lock = readPackages(join(root, 'package-lock.json'));
  const installed = readPackages(join(nodeModules, '.package-lock.json'));
  return lock !== undefined && installed !== undefined && isInstalled(lock, installed, existsSync);
}

/**
 * Whether every package of the lock file is there in its version. npm writes its own record last, so an
 * installation that was killed does not pass. Optional packages of other machines may be absent.
 */
export function isInstalled(lock, installed, exists) {
  return Object.entries(lock).every(([path, entry]) => {
    if (path === '') {
      return true;
    }
    const present = installed[path]?.version === entry.version && exists(join(root, path));
    return present || (entry.optional === true && installed[path] === undefined && path !== `node_modules/${nodePackage}`);
  });
}

function readPackages(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8')).packages;
  } catch {
    return undefined;
  }
}

/** With the host's own npm and its settings. */
export async function npm(args, say) {
  const own = process.env.npm_execpath;
  const flags = [...args, '--no-audit', '--no-fund', '--loglevel=http'];
  const [file, first] = own?.endsWith('.js') ? [process.execPath, [own]] : ['npm', []];
  let refusesLock = false;
  const result = await runQuiet(file, [...first, ...flags], {
    env: process.env,
    onLine(line) {
      refusesLock ||= line.includes('EUSAGE');
      const [, fetched] = / (?:GET|POST) \d+ \S*\/(\S+)/.exec(line) ?? /^npm http cache (\S+)@https?:/.exec(line) ?? [];
      // What npm warns of tells nobody how far it is, and of several lines the last alone would be shown.
      if (fetched !== undefined || !/^npm (?:warn|notice)/i.test(line)) {
        say(fetched === undefined ? line : `fetched ${fetched}`);
      }
    },
  });
  return { ...result, refusesLock };
}
