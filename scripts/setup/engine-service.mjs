/** What is the same for every engine that tests start for themselves: waiting for it, ending it, its last words. */
import { readFileSync, readdirSync, readlinkSync, realpathSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

import { runQuiet } from './processes.mjs';

const waitMs = 120_000;

/** Asks it to end, and does not wait for ever. `log`: file of its output. */
export async function endService(engine, log) {
  if (engine.exitCode !== null || engine.signalCode !== null) {
    return;
  }
  const left = new Promise((resolve) => {
    engine.once('close', resolve);
  });
  engine.kill('SIGTERM');
  if ((await Promise.race([left.then(() => 'ended'), sleep(30_000, 'late', { ref: false })])) === 'late') {
    process.stderr.write(`casemate: an engine of the tests did not end when asked to: ${lastLines(log)}\n`);
    engine.kill('SIGKILL');
    await left;
  }
}

/** Ends whatever still works in `folder`, which was made for one engine alone. */
export function endThoseIn(folder) {
  const place = realpathSync(folder);
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      if (readlinkSync(`/proc/${pid}/cwd`) === place) {
        process.kill(Number(pid), 'SIGKILL');
      }
    } catch {
      // It is gone by now, or the kernel's own.
    }
  }
}

/** Podman leaves a folder of its images mounted on itself, dockerd a network namespace; what has a mount in it cannot be removed. */
export async function unmountBelow(folder) {
  const below = mountPoints().filter((place) => place.startsWith(`${realpathSync(folder)}/`));
  for (const place of below.toReversed()) {
    await runQuiet('umount', ['--', place]);
  }
}

/** In the order in which they were made. Spaces and the like stand in octal there (proc(5)). */
function mountPoints() {
  const rows = readFileSync('/proc/self/mountinfo', 'utf8').trimEnd().split('\n');
  return rows.map((row) => row.split(' ')[4].replaceAll(/\\(\d{3})/g, (_, octal) => String.fromCharCode(parseInt(octal, 8))));
}

/** What cannot be removed (something is still mounted there) fails no tests: it is said. */
export function removeFolder(folder) {
  try {
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  } catch (error) {
    process.stderr.write(`casemate: left behind: ${folder}: ${error.message}\n`);
  }
}

/** Waits until it answers on its socket. Throws when it ends or takes too long. */
export async function serves(engine, { name, socket, log }) {
  const isThere = () => {
    if (engine.exitCode !== null || engine.pid === undefined) {
      throw new Error(`${name} did not start: ${lastLines(log)}`);
    }
    return answers(socket);
  };
  await until(isThere, () => {
    engine.kill();
    return `${name} does not answer: ${lastLines(log)}`;
  });
}

function answers(socketPath) {
  return new Promise((resolve) => {
    const question = request({ socketPath, path: '/_ping', agent: false, timeout: 5000 }, (answer) => {
      answer.resume();
      resolve(answer.statusCode === 200);
    });
    question.once('timeout', () => question.destroy());
    question.once('error', () => resolve(false));
    question.end();
  });
}

export async function until(isSo, otherwise) {
  const latest = Date.now() + waitMs;
  while (!(await isSo())) {
    if (Date.now() > latest) {
      throw new Error(typeof otherwise === 'string' ? otherwise : otherwise());
    }
    await sleep(100);
  }
}

function lastLines(file) {
  return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-3).join(' | ').slice(-800);
}
