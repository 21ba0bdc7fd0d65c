/** The packages of the lock file, installed by the host's own npm with the host's own settings. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { nodeModules, nodePackage, root } from './places.mjs';
import { runQuiet } from './processes.mjs';
import { step, stepFault } from './progress.mjs';

/** Installs what is missing; does nothing, and needs no network, where `node_modules` is what the lock file says. */
export async function installPackages() {
  const lock = readPackages(join(root, 'package-lock.json'));
  const installed = readPackages(join(nodeModules, '.package-lock.json'));
  if (lock !== undefined && installed !== undefined && isInstalled(lock, installed, existsSync)) {
    return;
  }
  await step('Installing npm packages, Node 24 among them', async (say) => {
    const first = await npm(['ci'], say);
    // A lock file that does not fit package.json is mended, not worked around.
    const result = first.code !== 0 && first.tail.some((line) => line.includes('EUSAGE')) ? await npm(['install'], say) : first;
    if (result.code !== 0) {
      throw stepFault('npm', result, 'See above; npm uses your own settings (npm config list). Then run this again.');
    }
  });
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

function npm(args, onLine) {
  const options = { env: process.env, onLine };
  const own = process.env.npm_execpath;
  const flags = [...args, '--no-audit', '--no-fund', '--loglevel=http'];
  return own?.endsWith('.js') ? runQuiet(process.execPath, [own, ...flags], options) : runQuiet('npm', flags, options);
}
