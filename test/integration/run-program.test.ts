/** A program that is ended because its time is over is not waited for any longer, whatever it has started. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';

import { run } from '../../src/system/process.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'casemate-run-'));
});
afterEach(async () => {
  const pid = Number(await readFile(join(folder, 'pid'), 'utf8').catch(() => ''));
  // Nothing is there yet where the program did not come that far; 0 would be this very group.
  if (pid > 1) {
    process.kill(pid, 'SIGKILL');
  }
  await rm(folder, { recursive: true, force: true });
});

/** Waits for a child that holds its output open for five minutes, and wrote down its number first. */
const waiting =
  'if (my $pid = fork) { open my $f, ">", $ARGV[0]; print $f $pid; close $f; print "begun\\n"; wait } else { sleep 300 }';
const args = (): readonly string[] => ['-e', `$| = 1; ${waiting}`, join(folder, 'pid')];
const env = { PATH: '/usr/bin:/bin' };

test('at its time limit', { timeout: 60_000 }, async () => {
  await expect(run('perl', args(), { env, timeoutMs: 5000 })).rejects.toMatchObject({ code: 'TIMED_OUT' });
});

test('when its caller gives up', { timeout: 60_000 }, async () => {
  const gone = new AbortController();
  const begun = run('perl', args(), { env, signal: gone.signal });
  const given = expect(begun).rejects.toThrow('given up');
  await expect.poll(() => readFile(join(folder, 'pid'), 'utf8').catch(() => '')).toMatch(/^\d+$/);
  gone.abort(new Error('given up'));
  await given;
});

test('when it has ended by itself', { timeout: 60_000 }, async () => {
  const left = waiting.replace('wait }', 'exit }');
  await expect(run('perl', ['-e', `$| = 1; ${left}`, join(folder, 'pid')], { env, timeoutMs: 5000 })).rejects.toMatchObject({
    code: 'TIMED_OUT',
  });
});
