import { randomBytes } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { basename } from 'node:path';

import { endGroup, startForeign, type ForeignRun } from './run-foreign.ts';

/**
 * A process that waits in someone else's sandbox, so that this host can look at it: its rights, namespaces and limits. It is
 * found by the random word among its arguments, which works wherever the kernel is shared.
 */
export interface Holder {
  /** host ids; empty where it cannot be seen from here, as in a virtual machine */
  readonly pids: readonly number[];
  readonly end: () => Promise<void>;
}

/** Ends by itself, whoever forgets it: by a signal, also where it is the first process, and by time. */
const waiting =
  '$| = 1; $SIG{$_} = sub { exit } for qw(TERM INT HUP ALRM); alarm 300; my $word = $ARGV[0]; print qq($word\\n); sleep 1 while 1;';

export async function hold(around: (command: readonly string[]) => readonly string[], options: ForeignRun): Promise<Holder> {
  const word = randomBytes(12).toString('hex');
  const child = startForeign(around(['perl', '-e', waiting, word]), options);
  const end = (): Promise<void> => endGroup(child);
  child.once('error', () => undefined);
  child.stdin?.on('error', () => undefined);
  child.stderr?.resume();
  try {
    await heard(child.stdout, word, options);
    return { pids: await findByWord(word), end };
  } catch (error) {
    await end();
    throw error;
  }
}

async function heard(stream: NodeJS.ReadableStream | null, word: string, { timeoutMs, signal }: ForeignRun): Promise<void> {
  const limit = AbortSignal.any([AbortSignal.timeout(timeoutMs), ...(signal === undefined ? [] : [signal])]);
  await new Promise<void>((resolve, reject) => {
    let said = '';
    limit.addEventListener('abort', () => reject(new Error('the process that was to wait in the sandbox did not start in time')));
    stream?.on('data', (piece: Buffer) => {
      said = `${said}${piece.toString('latin1')}`.slice(-4096);
      if (said.includes(word)) {
        resolve();
      }
    });
    stream?.once('end', () => reject(new Error('the process that was to wait in the sandbox ended at once')));
  });
}

/** Processes of this host that are that very program: those that only carry its words on are no part of the sandbox. */
async function findByWord(word: string): Promise<readonly number[]> {
  const entries = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(entries.map((pid) => isProgram(pid, word)));
  return entries.filter((_, index) => found[index]).map(Number);
}

async function isProgram(pid: string, word: string): Promise<boolean> {
  const text = await readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => '');
  const words = text.split('\0').slice(0, -1);
  return words.at(-1) === word && /^perl[\d.]*$/.test(basename(words[0] ?? ''));
}
