import type { Readable } from 'node:stream';

import { CasemateError } from '../../base/errors.ts';
import { dataFile } from '../../system/data-file.ts';
import { spawnProcess, type Spawn } from '../../system/process.ts';
import type { Abortable } from '../engine.ts';
import { inScope } from './delegation.ts';

/**
 * A `stage.pl` that waits for its plan. Starting a program blocks this process, and longer the more memory it has, so the one
 * for the next sandbox is started ahead. It ends with us, because its standard input closes.
 */
export interface Stage {
  readonly hasEnded: () => boolean;
  /** Gives it the first part of its plan, at which it sets out. */
  readonly begin: (plan: string) => void;
  /** Resolves when it holds a container, as it was told to, or with its result when it has ended instead. */
  readonly held: () => Promise<StageResult | undefined>;
  /**
   * Gives it its plan, or the rest of it; resolves when all of it is carried out, or the program has ended without. Once.
   * Its own end takes the kernel longer than most plans, and nobody waits for that.
   */
  readonly carryOut: (plan: string, abort?: Abortable) => Promise<StageResult>;
}

export interface StageResult {
  readonly exitCode: number;
  readonly stderr: string;
}

export interface StageOptions {
  readonly env: Readonly<Record<string, string>>;
  readonly machine: string;
  /** name of the scope of an ordinary user that it starts in */
  readonly unit?: string | undefined;
  readonly spawn?: Spawn | undefined;
}

const timeoutMs = 60_000;
const maxErrorLength = 64 * 1024;
const maxSaidLength = 64;

/** Two words are all it ever says there, each on a line; they may come in one piece. */
function onWords(stdout: Readable | null, words: Readonly<Record<string, () => void>>): void {
  let said = '';
  stdout?.setEncoding('latin1').on('data', (text: string) => {
    said = (said + text).slice(0, maxSaidLength);
    for (const word of said.split('\n').slice(0, -1)) {
      words[word]?.();
    }
  });
}

export function startStage({ env, machine, unit, spawn = spawnProcess }: StageOptions): Stage {
  const own = { file: 'perl', args: [dataFile('engines/oci/stage.pl'), machine, String(process.pid)] };
  const { file, args } = unit === undefined ? own : inScope(own, unit);
  const child = spawn(file, args, { env: { ...env }, stdio: ['pipe', 'pipe', 'pipe'] });
  const { promise: ended, resolve, reject } = Promise.withResolvers<StageResult>();
  const { promise: held, resolve: nowHeld } = Promise.withResolvers<undefined>();
  const { promise: kept, resolve: nowKept } = Promise.withResolvers<StageResult>();
  // Nobody may be waiting for it yet.
  ended.catch(() => undefined);
  let isOver = false;
  let stderr = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(0, maxErrorLength);
  });
  onWords(child.stdout, { held: () => nowHeld(undefined), kept: () => nowKept({ exitCode: 0, stderr }) });
  child.stdin?.on('error', () => undefined);
  child.once('error', (cause) => {
    isOver = true;
    reject(new CasemateError('TOOL_MISSING', `cannot start ${file}: ${cause.message}`, { cause }));
  });
  child.once('exit', () => {
    isOver = true;
  });
  child.once('close', (code) => resolve({ exitCode: code ?? 128, stderr }));
  const kill = (why: unknown): void => {
    child.kill('SIGKILL');
    reject(why);
  };
  // One that waits keeps nobody alive; whoever has given it a plan waits for it.
  const handles = [child, child.stdin, child.stdout, child.stderr].filter((handle) => handle !== null && 'unref' in handle);
  const rest = (): void => handles.forEach((handle) => handle.unref());
  const waitFor = async <T>(answer: Promise<T>, { signal }: Abortable): Promise<T> => {
    const late = new CasemateError('TIMED_OUT', `the sandbox was not made within ${timeoutMs / 1000} s`);
    const timer = setTimeout(() => kill(late), timeoutMs);
    const abort = (): void => kill(signal?.reason);
    signal?.addEventListener('abort', abort, { once: true });
    handles.forEach((handle) => handle.ref());
    try {
      return await answer;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
      rest();
    }
  };
  rest();
  return {
    hasEnded: () => isOver,
    begin: (plan) => void child.stdin?.write(plan),
    held: () => waitFor(Promise.race([held, ended]), {}),
    async carryOut(plan, { signal } = {}) {
      signal?.throwIfAborted();
      child.stdin?.end(plan);
      return await waitFor(Promise.race([kept, ended]), { signal });
    },
  };
}
