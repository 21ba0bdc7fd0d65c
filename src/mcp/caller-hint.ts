/** What a caller can do about an error, where the words of the error are for the person at the command line. */
const ofTools: Readonly<Record<string, string>> = {
  NAME_IN_USE: 'Choose another sessionName, or end the one that has it with destroy_session.',
  SANDBOX_NOT_FOUND: 'list_sessions shows yours.',
  SNAPSHOT_NOT_FOUND: 'list_snapshots shows those of a session.',
};

/** Of hints that several codes have. */
const ofWords: readonly (readonly [RegExp, string])[] = [
  [/casemate snapshot rm/, 'Remove one with remove_snapshot.'],
  [/or stop the sandbox/, 'Try again when it has ended; interrupt_execution ends what start_command or start_task began.'],
];

/** A command or an option of the command line. */
const isForPerson = /\bcasemate [a-z]|(?:^|[\s("])--[a-z]/;

const noKey = 'CREDENTIAL_UNAVAILABLE';
const withoutKey = '\nCommands alone need no key: agent "none".';

export function callerHint(code: string, hint: string | undefined): string | undefined {
  if (Object.hasOwn(ofTools, code)) {
    return ofTools[code];
  }
  if (hint === undefined) {
    return undefined;
  }
  const words = ofWords.find(([pattern]) => pattern.test(hint))?.[1];
  return words ?? (isForPerson.test(hint) ? `For the person at the host: ${hint}${code === noKey ? withoutKey : ''}` : hint);
}
