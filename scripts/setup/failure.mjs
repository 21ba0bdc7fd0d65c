/** A fault of the set-up as a person should read it: one line of what, one of what to do, and the exit code. */
export class Failure extends Error {
  /** @param {string} message @param {{ hint?: string, exitCode?: number, details?: readonly string[] }} [options] */
  constructor(message, { hint, exitCode = 125, details = [] } = {}) {
    super(message);
    this.hint = hint;
    this.exitCode = exitCode;
    this.details = details;
  }
}

/** Prints a fault on standard error and answers with its exit code. No stack: it would hide the line that helps. */
export function report(error) {
  const known = error instanceof Failure;
  for (const line of known ? error.details : []) {
    process.stderr.write(`    ${line}\n`);
  }
  process.stderr.write(`casemate: ${known ? error.message : (error?.stack ?? String(error))}\n`);
  if (known && error.hint !== undefined) {
    process.stderr.write(`  ${error.hint}\n`);
  }
  return known ? error.exitCode : 125;
}

/** Runs `work` and ends with its exit code, or with that of its fault, told once. */
export async function main(work) {
  process.exitCode = await work().catch(report);
}
