/** Commands of the real program, given by whoever the home is of, with the hook in them. */
import { spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

export type StartCommand = (args: readonly string[], options?: StartOptions) => Started;

export interface StartOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
  readonly timeoutMs?: number;
}

export interface Started {
  readonly pid: number;
  readonly kill: () => void;
  readonly out: () => string;
  readonly ended: Promise<Outcome>;
}

export interface Outcome {
  readonly args: readonly string[];
  /** `undefined`: it was killed */
  readonly code: number | undefined;
  readonly out: string;
  readonly err: string;
  /** it hung and was ended by the harness */
  readonly late: boolean;
}

export const entry = process.env['CASEMATE_TEST_ENTRY'] ?? resolve(import.meta.dirname, '../../src/cli/main.ts');

export interface Starting {
  readonly project: string;
  readonly env: Readonly<Record<string, string>>;
  /** module that is loaded into each process of the product */
  readonly hook: string;
  readonly faults: string;
  readonly callers: Set<number>;
  /** who gives the commands; default: this user */
  readonly user?: Owner | undefined;
}

export function starter({ project, env, hook, faults, callers, user }: Starting): StartCommand {
  const loaded = pathToFileURL(hook);
  loaded.searchParams.set('folder', faults);
  return (args, options = {}) => {
    const child = spawn(process.execPath, ['--import', loaded.href, entry, ...args], {
      cwd: project,
      env: { ...env, ...options.env },
      stdio: ['pipe', 'pipe', 'pipe'],
      // A terminal's own group is not ours.
      detached: true,
      ...user,
    });
    const pid = child.pid ?? 0;
    callers.add(pid);
    let [out, err, late] = ['', '', false];
    child.stdout.on('data', (piece: Buffer) => (out += piece.toString()));
    child.stderr.on('data', (piece: Buffer) => (err += piece.toString()));
    child.stdin.on('error', () => undefined);
    child.stdin.end(options.input ?? '');
    const timer = setTimeout(() => {
      late = true;
      child.kill('SIGKILL');
    }, options.timeoutMs ?? 40_000);
    const ended = new Promise<Outcome>((done) =>
      child.once('close', (code) => {
        clearTimeout(timer);
        callers.delete(pid);
        done({ args, code: code ?? undefined, out, err, late });
      }),
    );
    return { pid, kill: () => void child.kill('SIGKILL'), out: () => out, ended };
  };
}
