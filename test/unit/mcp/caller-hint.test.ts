import { expect, it } from 'vitest';

import { callerHint } from '../../../src/mcp/caller-hint.ts';

it('a hint names what a caller can do, or says that it is for the person at the host', () => {
  expect(callerHint('NAME_IN_USE', 'Choose another with --name, or run: casemate destroy x')).toContain('sessionName');
  expect(callerHint('SNAPSHOT_NOT_FOUND', 'See: casemate snapshot ls x')).toBe('list_snapshots shows those of a session.');
  expect(callerHint('TOO_MANY', 'Remove one: casemate snapshot rm x ID')).toBe('Remove one with remove_snapshot.');
  expect(callerHint('SANDBOX_WRONG_STATE', 'Try again when it has ended, or stop the sandbox.')).toContain('interrupt_execution');
  expect(callerHint('CREDENTIAL_UNAVAILABLE', 'Set one: casemate credentials set x')).toBe(
    'For the person at the host: Set one: casemate credentials set x\nCommands alone need no key: agent "none".',
  );
  expect(callerHint('PATH_INVALID', 'cd into the project, or give --workspace PATH.')).toMatch(/^For the person at the host: /);
  expect(callerHint('PATH_INVALID', 'Use transfer_files; a well--known one.')).toBe('Use transfer_files; a well--known one.');
  expect(callerHint('USAGE', undefined)).toBeUndefined();
});
