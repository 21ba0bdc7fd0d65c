/** One line for each step of the set-up, on standard error: what runs, how long, what it last said. */
import { Failure } from './failure.mjs';

const tty = process.stderr.isTTY && process.env.TERM !== 'dumb';
const heartbeatMs = tty ? 200 : 15_000;

/**
 * Shows `title` while `work` runs. `work` gets a function that takes the latest line of output.
 * @template T @param {string} title @param {(say: (line: string) => void) => Promise<T>} work @returns {Promise<T>}
 */
export async function step(title, work) {
  const started = Date.now();
  let latest = '';
  write(tty ? '' : `  .. ${title}\n`);
  const timer = setInterval(() => {
    const line = `  .. ${title} (${seconds(started)})${latest === '' ? '' : `: ${latest}`}`;
    write(tty ? `\r\u001b[2K${line.slice(0, (process.stderr.columns ?? 80) - 1)}` : `${line}\n`);
  }, heartbeatMs);
  try {
    const result = await work((line) => {
      latest = line.trim();
    });
    write(`${clear()}  ok ${title} (${seconds(started)})\n`);
    return result;
  } catch (error) {
    write(`${clear()}  !! ${title}\n`);
    throw error;
  } finally {
    clearInterval(timer);
  }
}

/** The fault of a program that ended badly; an interruption is passed on as such. */
export function stepFault(what, { code, tail }, hint) {
  return code === 130 || code === 143
    ? new Failure('interrupted', { exitCode: code })
    : new Failure(`${what} failed (exit code ${code})`, { hint, details: tail.slice(-12) });
}

function clear() {
  return tty ? '\r\u001b[2K' : '';
}

function seconds(started) {
  return `${((Date.now() - started) / 1000).toFixed(1)} s`;
}

function write(text) {
  process.stderr.write(text);
}
