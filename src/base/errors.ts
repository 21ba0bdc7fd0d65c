/** Every way this program can fail, in one table. Denials are not here: a denial is a `Decision`, not an error. */
export const errorCodes = {
  USAGE: { fault: 'user', exit: 2, about: 'the command line is wrong' },
  POLICY_INVALID: { fault: 'user', exit: 2, about: 'a policy file is unreadable, malformed or has an unknown key' },
  POLICY_WIDENS: { fault: 'user', exit: 2, about: 'a lower policy layer allows more than a higher one' },
  POLICY_UNTRUSTED: { fault: 'user', exit: 2, about: 'the project asks for grants that no human has approved' },
  RECIPE_INVALID: { fault: 'user', exit: 2, about: 'an image recipe is unknown, unreadable, malformed or has an unknown key' },
  AGENT_INVALID: {
    fault: 'user',
    exit: 2,
    about: 'a file that describes an agent is unreadable, malformed, has an unknown key or may not say what it says',
  },
  PATH_INVALID: { fault: 'user', exit: 2, about: 'a path does not exist or must not be used' },
  NAME_INVALID: { fault: 'user', exit: 2, about: 'a sandbox name, id or host name is not well formed' },
  NAME_IN_USE: { fault: 'user', exit: 2, about: 'another sandbox has this name' },
  SANDBOX_NOT_FOUND: { fault: 'user', exit: 2, about: 'no sandbox has this name or id' },
  SNAPSHOT_NOT_FOUND: { fault: 'user', exit: 2, about: 'the sandbox has no snapshot of this id' },
  SANDBOX_WRONG_STATE: { fault: 'user', exit: 125, about: 'the sandbox is not in a state that allows this' },
  CONFIRMATION_MISSING: { fault: 'user', exit: 2, about: 'a destructive step was not confirmed by name' },
  NOT_ALLOWED: { fault: 'user', exit: 125, about: "a caller asked for what is the person's at this host to do or to give" },
  UNSUPPORTED: { fault: 'user', exit: 2, about: 'an option is known and cannot be honoured here, so nothing was done' },
  TOO_MANY: {
    fault: 'user',
    exit: 125,
    about: 'there are as many sandboxes as may be, of a caller or on this host, or as many calls of a caller',
  },
  RATE_LIMITED: { fault: 'user', exit: 125, about: 'a caller used a tool too often in too short a time' },
  REQUEST_GONE: { fault: 'user', exit: 2, about: 'no denied request of this id can be answered any more' },
  CREDENTIAL_UNAVAILABLE: { fault: 'user', exit: 125, about: 'a credential the policy names has no readable source' },
  CREDENTIAL_REVOKED: { fault: 'user', exit: 125, about: 'a credential was revoked on this host and not given back' },
  LOGIN_ENDED: { fault: 'user', exit: 125, about: 'the login of an agent has ended; a person has to log in again' },
  IMAGE_NOT_FOUND: { fault: 'user', exit: 125, about: 'the image is not built on this host' },
  IMAGE_BUILD_FAILED: { fault: 'host', exit: 125, about: 'a step of an image build failed' },
  IMAGE_CORRUPT: { fault: 'host', exit: 125, about: 'a stored image differs from its digest' },
  TOOL_MISSING: { fault: 'host', exit: 125, about: 'a program this host needs is not installed' },
  LAYER_MISSING: { fault: 'host', exit: 125, about: 'the host cannot give a protection layer and nobody waived it' },
  ENGINE_FAILED: { fault: 'host', exit: 125, about: 'the container runtime refused or failed' },
  GATEWAY_FAILED: { fault: 'host', exit: 125, about: 'the gateway could not take its place in the sandbox' },
  PROOF_FAILED: { fault: 'host', exit: 125, about: 'a sandbox did not pass its probes, so nothing was started in it' },
  JOURNAL_UNWRITABLE: { fault: 'host', exit: 125, about: 'the journal cannot be written, so nothing may start' },
  JOURNAL_INVALID: { fault: 'host', exit: 125, about: 'the journal was changed, shortened or is malformed' },
  STORE_FAILED: { fault: 'host', exit: 125, about: 'a file or folder of the state cannot be read or written' },
  DAEMON_UNREACHABLE: { fault: 'host', exit: 125, about: 'the daemon did not answer' },
  DISK_FULL: { fault: 'host', exit: 125, about: 'there is no room left where a file had to be written' },
  OUTPUT_UNWRITABLE: { fault: 'host', exit: 125, about: 'what a command printed could not be written where it was sent' },
  TIMED_OUT: { fault: 'user', exit: 124, about: 'the time limit was reached' },
  INTERNAL: { fault: 'bug', exit: 125, about: 'a defect in casemate' },
} as const satisfies Record<string, { fault: 'user' | 'host' | 'bug'; exit: number; about: string }>;

export type ErrorCode = keyof typeof errorCodes;

export interface CasemateErrorOptions {
  readonly cause?: unknown;
  /** what the reader can do next, one sentence */
  readonly hint?: string | undefined;
}

const brand = Symbol.for('casemate.error');

/** `message` says what happened and where, `hint` what to do. Neither holds a secret. */
export class CasemateError extends Error {
  override readonly name = 'CasemateError';
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly [brand] = true;

  constructor(code: ErrorCode, message: string, options: CasemateErrorOptions = {}) {
    super(message, { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
  }
}

export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === 'string' && Object.hasOwn(errorCodes, value);
}

export function isCasemateError(value: unknown): value is CasemateError {
  return value instanceof Error && brand in value && 'code' in value && isErrorCode(value.code);
}

/** The one place where an unknown becomes an error with a code. */
export function toCasemateError(value: unknown): CasemateError {
  if (isCasemateError(value)) {
    return value;
  }
  return (
    diskFull(value) ??
    notWritable(value) ??
    new CasemateError('INTERNAL', value instanceof Error ? value.message : String(value), { cause: value })
  );
}

/** Any write may be the one that finds no room, and it is never a defect. */
function diskFull(value: unknown): CasemateError | undefined {
  const { code, path } = systemFault(value);
  if (code !== 'ENOSPC' && code !== 'EDQUOT') {
    return undefined;
  }
  const where = path === '' ? '' : `: no room for ${path}`;
  return new CasemateError('DISK_FULL', `the disk or its quota is full${where}`, {
    cause: value,
    hint: 'Free space there, or point CASEMATE_HOME to a larger disk.',
  });
}

/** Calls of the system whose `EACCES` says that a place may not be used; of others, such as the start of a program, it says other things. */
const looking = new Set(['open', 'scandir', 'opendir', 'stat', 'lstat', 'readlink', 'access']);
const changing = new Set(['mkdir', 'mkdtemp', 'rename', 'unlink', 'rmdir', 'link', 'symlink', 'chmod', 'fchmod', 'copyfile']);

/** A read-only file system, or a folder of somebody else: the host's, and no defect either. */
function notWritable(value: unknown): CasemateError | undefined {
  const { code, syscall, path } = systemFault(value);
  const mayNot = (code === 'EACCES' || code === 'EPERM') && (looking.has(syscall) || changing.has(syscall));
  if (path === '' || (code !== 'EROFS' && !mayNot)) {
    return undefined;
  }
  const what = mayNot && looking.has(syscall) ? 'open' : 'write';
  const why = mayNot ? 'permission denied' : 'its file system is read-only';
  return new CasemateError('STORE_FAILED', `cannot ${what} ${path}: ${why}`, {
    cause: value,
    hint: 'Where Casemate keeps its own files there (in your home folder, or in CASEMATE_HOME), set CASEMATE_HOME to a folder of your own.',
  });
}

function systemFault(value: unknown): Readonly<Record<'code' | 'syscall' | 'path', string>> {
  const said = (key: string): string => {
    const what: unknown = value instanceof Error ? Reflect.get(value, key) : undefined;
    return typeof what === 'string' ? what : '';
  };
  return { code: said('code'), syscall: said('syscall'), path: said('path') };
}
