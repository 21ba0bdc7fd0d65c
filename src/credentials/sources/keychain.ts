import { isCasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import { baseEnvironment, type Environment } from '../../system/environment.ts';
import { run, type RunResult } from '../../system/process.ts';
import { maxValueBytes, unavailable, withoutLastLineFeed } from './checked-value.ts';

/**
 * The operating system's keychain: `security` of macOS, `secret-tool` (Secret Service) elsewhere. Values go through
 * standard input and output, never through an argument list, which every process of the host can read.
 */
export interface KeychainAccess {
  readonly env: Environment;
  readonly run?: typeof run;
  readonly platform?: NodeJS.Platform;
}

export interface KeychainEntry {
  readonly service: string;
  readonly account: string;
}

/** An entry may have to be unlocked by a person first. */
const timeoutMs = 60_000;

/** `undefined` where there is no such entry. Throws `CREDENTIAL_UNAVAILABLE` where the keychain does not answer. */
export async function readKeychain(entry: KeychainEntry, access: KeychainAccess): Promise<string | undefined> {
  const { service, account } = entry;
  const result = isMac(access)
    ? await ask('security', ['find-generic-password', '-s', service, '-a', account, '-w'], access)
    : await ask('secret-tool', ['lookup', 'service', service, 'account', account], access);
  if (isAbsent(result, access)) {
    return undefined;
  }
  if (result.exitCode !== 0) {
    throw unavailable(
      `the keychain did not give ${visible(service)}/${visible(account)} (exit code ${result.exitCode})`,
      isMac(access) ? 'Unlock it, then try again.' : 'Unlock it in a session that has one, then try again.',
    );
  }
  const value = withoutLastLineFeed(result.stdout.toString('utf8'));
  return value === '' ? undefined : value;
}

/** Replaces the entry. The value must be printable ASCII without quotes or backslashes. Throws `CREDENTIAL_UNAVAILABLE`. */
export async function writeKeychain(
  { service, account }: KeychainEntry,
  value: string,
  access: KeychainAccess & { readonly label: string },
): Promise<void> {
  // `security -i` reads its commands from standard input, so the value is in no argument list there either.
  const result = isMac(access)
    ? await ask('security', ['-i'], access, `add-generic-password -U -s "${service}" -a "${account}" -w "${value}"\n`)
    : await ask('secret-tool', ['store', `--label=${access.label}`, 'service', service, 'account', account], access, value);
  if (result.exitCode !== 0) {
    throw unavailable(`the keychain did not take ${visible(service)}/${visible(account)} (exit code ${result.exitCode})`);
  }
}

/** 44: `errSecItemNotFound` of `security`; `secret-tool` ends with 1 and says nothing. */
function isAbsent({ exitCode, stderr }: RunResult, access: KeychainAccess): boolean {
  return isMac(access) ? exitCode === 44 : exitCode === 1 && stderr.length === 0;
}

function isMac({ platform = process.platform }: KeychainAccess): boolean {
  return platform === 'darwin';
}

async function ask(file: string, args: readonly string[], access: KeychainAccess, input?: string): Promise<RunResult> {
  try {
    return await (access.run ?? run)(file, args, {
      env: baseEnvironment(access.env),
      timeoutMs,
      maxOutputBytes: maxValueBytes,
      input,
    });
  } catch (error) {
    const isMissing = isCasemateError(error) && error.code === 'TOOL_MISSING';
    throw unavailable(
      isMissing ? `the keychain needs the program ${file}` : `the keychain did not answer within ${timeoutMs / 1000} s`,
      isMissing && !isMac(access) ? 'On Debian: apt-get install libsecret-tools' : undefined,
    );
  }
}
