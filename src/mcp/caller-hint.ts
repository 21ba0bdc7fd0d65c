/** What a caller can do about an error, where the words of the error are for the person at the command line. */
const ofTools: Readonly<Record<string, string>> = {
  NAME_IN_USE: 'Choose another sessionName, or end the one that has it with destroy_session.',
  SANDBOX_NOT_FOUND: 'list_sessions shows yours.',
  SNAPSHOT_NOT_FOUND: 'list_snapshots shows those of a session.',
};

/** A command or an option of the command line. */
const isForPerson = /\bcasemate [a-z]|(?:^|[\s("])--[a-z]/;

export function callerHint(code: string, hint: string | undefined): string | undefined {
  if (Object.hasOwn(ofTools, code)) {
    return ofTools[code];
  }
  return hint !== undefined && isForPerson.test(hint) ? `For the person at the host: ${hint}` : hint;
}
