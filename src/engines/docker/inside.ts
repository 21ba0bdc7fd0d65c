import { CasemateError } from '../../base/errors.ts';
import type { DockerContext } from './context.ts';
import { segment } from './docker-client.ts';
import { outputFrames } from './output-frames.ts';
import { fieldsOf, numberOf, textOf } from './read-json.ts';

/** Runs our own programs in a container through the engine, for short answers. Never used for a command of the agent's. */

export interface InsideCommand {
  /** id of the container */
  readonly container: string;
  /** `uid:gid` */
  readonly user: string;
  readonly command: readonly string[];
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface InsideResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export type Asking = Pick<DockerContext, 'client' | 'effects'>;

const timeoutMs = 15_000;
const greatestOutput = 4 * 1024 * 1024;

/** Throws `ENGINE_FAILED` when it could not be started, `TIMED_OUT` when it did not end. */
export async function runInside(context: Asking, options: InsideCommand): Promise<InsideResult> {
  const { container, user, command, signal, timeoutMs: limitMs = timeoutMs } = options;
  const { client } = context;
  const id = await newExec(context, container, {
    AttachStdout: true,
    AttachStderr: true,
    User: user,
    WorkingDir: '/',
    Cmd: command,
  });
  const limit = AbortSignal.timeout(limitMs);
  const either = signal === undefined ? limit : AbortSignal.any([signal, limit]);
  const frames = outputFrames(greatestOutput);
  try {
    const connection = await client.hijack(`/exec/${segment(id)}/start`, { Detach: false, Tty: false }, { signal: either });
    const stop = (): void => void connection.destroy(new Error('given up'));
    either.addEventListener('abort', stop, { once: true });
    try {
      for await (const piece of connection) {
        frames.take(Buffer.from(piece));
      }
    } finally {
      either.removeEventListener('abort', stop);
    }
  } catch (error) {
    signal?.throwIfAborted();
    throw limit.aborted ? new CasemateError('TIMED_OUT', `a program in the container did not end within ${limitMs} ms`) : error;
  }
  const told = fieldsOf(await client.must('GET', `/exec/${segment(id)}/json`));
  return {
    exitCode: numberOf(told['ExitCode']) ?? 125,
    stdout: frames.stdout().toString('utf8'),
    stderr: frames.stderr().toString('utf8'),
  };
}

/** Id of a command that the engine will start when it is asked to. */
export async function newExec({ client, effects }: Asking, container: string, body: object): Promise<string> {
  const path = `/containers/${segment(container)}/exec`;
  effects.willRun(container);
  const id = await effects.make(async () =>
    textOf(fieldsOf(await client.must('POST', path, { body: { ...body, Privileged: false } }))['Id']),
  );
  if (!/^[0-9a-f]{64}$/.test(id)) {
    throw new CasemateError('ENGINE_FAILED', 'the engine gave no id for a command');
  }
  return id;
}
