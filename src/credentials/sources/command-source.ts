import { basename } from 'node:path';

import { isCasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import { baseEnvironment } from '../../system/environment.ts';
import { run, type RunResult } from '../../system/process.ts';
import { maxValueBytes, unavailable, withoutLastLineFeed } from './checked-value.ts';
import type { SourceAccess } from './source-access.ts';

/** A credential that a program prints. What the program says when it fails is not shown, because it may hold the credential. */

const commandTimeoutMs = 30_000;

export async function readCommand(command: readonly string[], access: Pick<SourceAccess, 'env' | 'run'>): Promise<string> {
  const [file, ...args] = command;
  if (file === undefined) {
    throw unavailable('the credential command is empty');
  }
  const result = await runCommand(file, args, access);
  if (result.exitCode !== 0) {
    throw unavailable(
      `credential command ${commandName(command)} ended with exit code ${result.exitCode}`,
      'Run it yourself to see why; its output is not shown here.',
    );
  }
  if (result.truncated) {
    throw unavailable(`credential command ${commandName(command)} printed more than ${maxValueBytes} bytes`);
  }
  const value = withoutLastLineFeed(result.stdout.toString('utf8'));
  if (value === '') {
    throw unavailable(`credential command ${commandName(command)} printed nothing`);
  }
  return value;
}

async function runCommand(file: string, args: readonly string[], access: Pick<SourceAccess, 'env' | 'run'>): Promise<RunResult> {
  try {
    const options = { env: baseEnvironment(access.env), timeoutMs: commandTimeoutMs, maxOutputBytes: maxValueBytes };
    return await (access.run ?? run)(file, args, options);
  } catch (error) {
    const why =
      isCasemateError(error) && error.code === 'TIMED_OUT'
        ? `did not end within ${commandTimeoutMs / 1000} s`
        : 'could not be started';
    throw unavailable(`credential command ${commandName([file])} ${why}`);
  }
}

/** Only the program's name: arguments may hold the very secret. */
function commandName(command: readonly string[]): string {
  return `"${visible(basename(command[0] ?? ''))}"`;
}
