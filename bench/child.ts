/** Processes of a measurement that take tasks, and the processor time that any process has used. */
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';

import { spawnProcess } from '../src/system/process.ts';
import { hostEnv } from './measure.ts';

export interface Child<Task, Answer> {
  readonly pid: number;
  /** what the process said when it was ready */
  readonly ready: number;
  readonly ask: (task: Task) => Promise<Answer>;
  readonly stop: () => Promise<void>;
}

type Message<Answer> = { readonly ready: number } | { readonly answer: Answer } | { readonly fault: string };

/** Starts a file of this folder. `execArgv`: options of Node. */
export async function startChild<Task, Answer>(
  file: string,
  data: object,
  execArgv: readonly string[] = [],
): Promise<Child<Task, Answer>> {
  const path = new URL(file, import.meta.url).pathname;
  const child = spawnProcess(process.execPath, [...execArgv, path], {
    env: hostEnv,
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const exited = once(child, 'exit').then((): [Message<Answer>] => [{ fault: `${file} has ended` }]);
  const next = async (): Promise<Message<Answer>> => {
    const [message] = (await Promise.race([once(child, 'message'), exited])) as [Message<Answer>];
    if ('fault' in message) {
      throw new Error(message.fault);
    }
    return message;
  };
  child.send({ data });
  const first = await next();
  return {
    pid: child.pid ?? 0,
    ready: 'ready' in first ? first.ready : 0,
    async ask(task) {
      child.send({ task });
      const message = await next();
      return (message as { answer: Answer }).answer;
    },
    async stop() {
      if (child.connected) {
        child.disconnect();
      }
      await exited;
    },
  };
}

export interface Served {
  /** a number for the parent, such as a port */
  readonly ready: number;
  readonly work?: ((task: never) => Promise<unknown>) | undefined;
}

/** The other side: `start` gets the data and says what is ready, and what does the tasks. Ends with its parent. */
export function serveTasks(start: (data: never) => Promise<Served>): void {
  let work: Served['work'];
  const say = (message: Message<unknown>): void => void process.send?.(message);
  const fault = (error: unknown): void => say({ fault: error instanceof Error ? (error.stack ?? '') : String(error) });
  process.on('message', (message: { data: unknown } | { task: unknown }) => {
    if ('data' in message) {
      start(message.data as never).then((started) => {
        ({ work } = started);
        say({ ready: started.ready });
      }, fault);
    } else {
      work?.(message.task as never).then((answer) => say({ answer }), fault);
    }
  });
  process.once('disconnect', () => process.exit(0));
}

/** Milliseconds on a processor of all threads that a process has now; exact where the kernel counts it so. */
export function processorMs(pid: number): number {
  const threads = readdirSync(`/proc/${pid}/task`);
  const times = threads.map((thread) => Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]));
  return times.reduce((sum, ns) => sum + ns, 0) / 1e6;
}
