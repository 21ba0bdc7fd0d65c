/** Programs, started from argument lists. An interruption reaches the child; we end after it, with its code. */
import { spawn } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { join } from 'node:path';

import { childEnvironment, root } from './places.mjs';

const signalNumbers = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 };

/**
 * Runs a program to its end with our own streams (`stdout`, `stderr`: file descriptors to use in their place). Resolves to its exit code, 128 + n where signal n ended it.
 * @param {string} file @param {readonly string[]} args
 */
export async function runOpen(
  file,
  args,
  { env = childEnvironment(), cwd = root, uid, gid, stdout = 'inherit', stderr = 'inherit' } = {},
) {
  const child = spawn(file, args, { cwd, env, uid, gid, stdio: ['inherit', stdout, stderr], shell: false });
  return ended(child);
}

/**
 * Runs a program with closed input and hands each line of its output to `onLine`. Resolves to the exit code and the last lines.
 * @param {string} file @param {readonly string[]} args
 */
export async function runQuiet(
  file,
  args,
  { env = childEnvironment(), cwd = root, uid, gid, onLine = () => {}, keep = 40 } = {},
) {
  const child = spawn(file, args, { cwd, env, uid, gid, stdio: ['ignore', 'pipe', 'pipe'], shell: false });
  const tail = [];
  for (const stream of [child.stdout, child.stderr]) {
    let rest = '';
    stream.setEncoding('utf8').on('data', (text) => {
      const lines = (rest + text).split(/[\r\n]+/);
      rest = lines.pop() ?? '';
      for (const line of lines.map(plain).filter(Boolean)) {
        tail.push(line);
        tail.splice(0, tail.length - keep);
        onLine(line);
      }
    });
    stream.on('end', () => rest !== '' && tail.push(plain(rest)));
  }
  const code = await ended(child);
  return { code, tail };
}

/** Progress of a foreign program goes to a terminal: colours and cursor movements are taken out of it. */
function plain(line) {
  // oxlint-disable-next-line no-control-regex -- control sequences are what is removed
  return line.replace(/\u001b\[[0-9;?]*[ -/]*[@-~]|[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, '').trimEnd();
}

function ended(child) {
  return new Promise((resolve, reject) => {
    // At a terminal the whole process group gets SIGINT already; a second one would read as "at once, please".
    const forward = (signal) => {
      if (signal !== 'SIGINT' || !process.stdin.isTTY) {
        child.kill(signal);
      }
    };
    for (const signal of Object.keys(signalNumbers)) {
      process.on(signal, forward);
    }
    const finish = (settle, value) => {
      for (const signal of Object.keys(signalNumbers)) {
        process.off(signal, forward);
      }
      settle(value);
    };
    child.once('error', (error) => finish(reject, error));
    child.once('close', (code, signal) => finish(resolve, code ?? 128 + (signalNumbers[signal] ?? 9)));
  });
}

/** Absolute path of a program, looked for as a child of ours would; `undefined` when there is none. */
export function which(name) {
  for (const folder of childEnvironment().PATH.split(':').filter(Boolean)) {
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      if (statSync(path).isFile()) {
        return path;
      }
    } catch {
      // Not here; the next folder may have it.
    }
  }
  return undefined;
}
