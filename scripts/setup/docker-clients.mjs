/**
 * Clients of Docker that tests run inside a sandbox, never here: Testcontainers from npm. Compose comes with the packages of this
 * machine. What cannot be had is left out, and its test says so.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { npm } from './packages.mjs';
import { root } from './places.mjs';
import { step } from './progress.mjs';

const testcontainers = '12.0.4';

/** What the tests find them by. @returns {Promise<Record<string, string>>} */
export async function fetchDockerClients(folder = join(root, '.cache', 'clients')) {
  const modules = join(folder, 'node_modules');
  try {
    if (versionIn(modules) !== testcontainers) {
      await step('Fetching Testcontainers for the tests', (say) => fetchTestcontainers(folder, say));
    }
    return { CASEMATE_TEST_TESTCONTAINERS: modules };
  } catch (error) {
    process.stderr.write(`casemate: the tests do without Testcontainers: ${error.message}\n`);
    return {};
  }
}

async function fetchTestcontainers(folder, say) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  // Else npm takes the project above for the one that is meant.
  writeFileSync(join(folder, 'package.json'), '{"private":true}\n');
  const wanted = ['install', '--prefix', folder, '--ignore-scripts', '--no-save', `testcontainers@${testcontainers}`];
  const { code, tail } = await npm(wanted, say);
  if (code !== 0 || !existsSync(join(folder, 'node_modules'))) {
    throw new Error(tail?.at(-1) ?? 'npm failed');
  }
}

function versionIn(modules) {
  try {
    return JSON.parse(readFileSync(join(modules, 'testcontainers', 'package.json'), 'utf8')).version;
  } catch {
    return undefined;
  }
}
