/** The parts of `npm test`: each answers how many of its checks passed, failed and were skipped. */
import { closeSync, mkdirSync, openSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import { Failure } from './failure.mjs';
import { childEnvironment, nodeModules, nodeProgram, root } from './places.mjs';
import { runOpen } from './processes.mjs';

/** @typedef {{ passed: number, failed: number, skipped: number }} Count */

/** A program whose exit code is the answer: one check. @returns {Promise<Count>} */
export async function checkCommand(title, name, args) {
  const code = await announced(title, () => runOpen(tool(name), args));
  return code === 0 ? { passed: 1, failed: 0, skipped: 0 } : { passed: 0, failed: 1, skipped: 0 };
}

/**
 * One run of vitest; its own report is shown, the figures come from its JSON. `held`: it is shown when all is over, because another
 * run shows its own meanwhile. @returns {Promise<Count>}
 */
export async function checkTests(title, args, options = {}) {
  const { env = {}, cwd = root, uid, gid, reports = join(root, '.cache'), held = false } = options;
  runs += 1;
  const report = join(reports, `report-${process.pid}-${runs}.json`);
  mkdirSync(reports, { recursive: true });
  rmSync(report, { force: true });
  const flags = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`, '--passWithNoTests'];
  const modules = join(cwd, 'node_modules');
  const command = [join(modules, 'vitest/vitest.mjs'), 'run', ...args, ...flags];
  const run = (streams) =>
    runOpen(nodeProgram(modules), command, { cwd, uid, gid, env: childEnvironment(env, modules), ...streams });
  const code = await announced(title, () => (held ? heldBack(join(reports, `output-${process.pid}-${runs}`), run) : run({})));
  try {
    return countReport(JSON.parse(readFileSync(report, 'utf8')), code);
  } catch {
    // vitest ended without a report: that is a failure, whatever its exit code.
    return { passed: 0, failed: 1, skipped: 0 };
  } finally {
    rmSync(report, { force: true });
  }
}

let runs = 0;

/** Standard output shows what it printed, in one piece. */
async function heldBack(path, run) {
  const file = openSync(path, 'w', 0o600);
  try {
    return await run({ stdout: file, stderr: file });
  } finally {
    closeSync(file);
    process.stdout.write(readFileSync(path));
    rmSync(path, { force: true });
  }
}

/** A file that could not be loaded has no tests, and a run can fail outside of any: each counts as one failure. */
export function countReport(report, code) {
  const unloaded = report.testResults.filter((file) => file.status === 'failed' && file.assertionResults.length === 0).length;
  const failed = report.numFailedTests + unloaded;
  return {
    passed: report.numPassedTests,
    failed: failed === 0 && (code !== 0 || report.success === false) ? 1 : failed,
    skipped: report.numPendingTests + report.numTodoTests,
  };
}

/** @param {readonly Count[]} counts */
export function total(counts) {
  const sum = (key) => counts.reduce((all, count) => all + count[key], 0);
  return { passed: sum('passed'), failed: sum('failed'), skipped: sum('skipped') };
}

function tool(name) {
  return join(nodeModules, '.bin', name);
}

async function announced(title, work) {
  process.stderr.write(`\n== ${title}\n`);
  const started = Date.now();
  const code = await work();
  process.stderr.write(
    `== ${title}: ${code === 0 ? 'ok' : `FAILED (exit code ${code})`}, ${((Date.now() - started) / 1000).toFixed(1)} s\n`,
  );
  if (code === 130 || code === 143) {
    throw new Failure('interrupted', { exitCode: code });
  }
  return code;
}
