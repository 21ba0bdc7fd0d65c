/** One set-up at a time in a checkout: the second waits for the first, and finds everything done. */
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { Failure } from './failure.mjs';
import { root } from './places.mjs';

const folder = join(root, '.cache');
const file = join(folder, 'setup.pid');

/** @template T @param {() => Promise<T>} work @returns {Promise<T>} */
export async function inTurn(work) {
  for (let told = false, answer = take(); ; answer = take()) {
    if (answer === 'unguarded') {
      return work();
    }
    if (answer === 'taken') {
      break;
    }
    if (!told) {
      process.stderr.write('  .. waiting for another set-up of this checkout\n');
      told = true;
    }
    await sleep(300);
  }
  try {
    return await work();
  } finally {
    rmSync(file, { force: true });
  }
}

/** The file appears with its content in one step, so whoever finds it can ask whether its maker still lives. */
function take() {
  const mine = `${file}.${process.pid}`;
  try {
    mkdirSync(folder, { recursive: true });
    writeFileSync(mine, String(process.pid));
    linkSync(mine, file);
    return 'taken';
  } catch (error) {
    if (error.code === 'EACCES' || error.code === 'EROFS') {
      // Somebody else's checkout, set up already: there is nothing to guard where nothing can be written.
      return 'unguarded';
    }
    if (error.code !== 'EEXIST') {
      throw new Failure(`cannot write in ${folder}: ${error.message}`);
    }
    if (!holderLives()) {
      rmSync(file, { force: true });
    }
    return 'waiting';
  } finally {
    rmSync(mine, { force: true });
  }
}

function holderLives() {
  try {
    process.kill(Number(readFileSync(file, 'utf8')), 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}
