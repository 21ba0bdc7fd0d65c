import { basename, isAbsolute, join } from 'node:path';

import { CasemateError, isCasemateError, toCasemateError } from '../base/errors.ts';
import { visible } from '../base/text.ts';
import type { CredentialSource } from '../policy/policy.ts';
import { baseEnvironment, type Environment } from '../system/environment.ts';
import { readPrivateFile } from '../system/private-file.ts';
import { run } from '../system/process.ts';
import type { Secret } from './credential.ts';
import { secret } from './secret.ts';

/** Reads a credential where the policy says it is. No error of this file holds a value or the output of a command. */

const maxBytes = 64 * 1024;
const commandTimeoutMs = 30_000;

export interface SourceAccess {
  /** the caller's own environment */
  readonly env: Environment;
  /** owner that a credential file must have */
  readonly uid: number;
  readonly run?: typeof run;
  readonly readFile?: typeof readPrivateFile;
}

/** Throws `CREDENTIAL_UNAVAILABLE`: no such source, a file others can read, a failing command, a value unfit for a header. */
export async function readSource(source: CredentialSource, access: SourceAccess): Promise<Secret> {
  switch (source.kind) {
    case 'env':
      return checked(
        access.env.get(source.name),
        `environment variable ${visible(source.name)}`,
        'Set it, or name another source in the policy.',
      );
    case 'file':
      return checked(await fromFile(source.path, access), `file ${visible(source.path)}`);
    case 'command':
      return checked(await fromCommand(source.command, access), `command ${commandName(source.command)}`);
    default:
      return source satisfies never;
  }
}

async function fromFile(written: string, access: SourceAccess): Promise<string> {
  const home = access.env.get('HOME');
  const path = written.startsWith('~/') && home !== undefined ? join(home, written.slice(2)) : written;
  if (!isAbsolute(path)) {
    throw unavailable(`credential file ${visible(written)} is not an absolute path`);
  }
  try {
    return withoutLastLineFeed(await (access.readFile ?? readPrivateFile)(path, { uid: access.uid, maxBytes }));
  } catch (error) {
    const fault = toCasemateError(error);
    throw unavailable(`credential file ${fault.message}`, fault.hint);
  }
}

async function fromCommand(command: readonly string[], access: SourceAccess): Promise<string> {
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
    throw unavailable(`credential command ${commandName(command)} printed more than ${maxBytes} bytes`);
  }
  return withoutLastLineFeed(result.stdout.toString('utf8'));
}

async function runCommand(file: string, args: readonly string[], access: SourceAccess) {
  try {
    const options = { env: baseEnvironment(access.env), timeoutMs: commandTimeoutMs, maxOutputBytes: maxBytes };
    return await (access.run ?? run)(file, args, options);
  } catch (error) {
    // The cause is dropped on purpose: what a failing program says may hold what it was asked for.
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

function withoutLastLineFeed(text: string): string {
  return text.replace(/\r?\n$/, '');
}

/** Printable ASCII without outer spaces: anything else is either not one value or cannot stand in a header (RFC 9110, 5.5). */
function checked(value: string | undefined, where: string, hint?: string): Secret {
  if (value === undefined || value === '') {
    throw unavailable(`${where} is not set or empty`, hint);
  }
  if (value.length > maxBytes) {
    throw unavailable(`the value of ${where} is longer than ${maxBytes} bytes`);
  }
  if (!/^[\u0020-\u007e]+$/.test(value)) {
    throw unavailable(
      `the value of ${where} holds line feeds, control characters or letters outside ASCII`,
      'It must be the bare credential and nothing else.',
    );
  }
  if (value.trim() !== value) {
    throw unavailable(`the value of ${where} begins or ends with a space`);
  }
  return secret(value);
}

function unavailable(message: string, hint?: string): CasemateError {
  return new CasemateError('CREDENTIAL_UNAVAILABLE', message, { hint });
}
