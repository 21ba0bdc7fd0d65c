import { join } from 'node:path';

/** Where the engine keeps things: `state` survives a reboot, `run` does not need to. Both are private folders of ours. */
export interface EngineFolders {
  readonly state: string;
  readonly run: string;
}

export function engineLayout({ state, run }: EngineFolders) {
  return {
    records: join(state, 'sandboxes'),
    slots: join(state, 'slots'),
    covers: join(state, 'covers'),
    blanks: join(state, 'blanks'),
    runtimeRoot: (runtime: string): string => join(run, runtime),
    sandbox(id: string) {
      const folder = join(run, 'sandboxes', id);
      return {
        folder,
        bundle: join(folder, 'bundle'),
        config: join(folder, 'bundle/config.json'),
        log: join(folder, 'log'),
        pidFile: join(folder, 'pid'),
        init: join(folder, 'init.json'),
        home: join(folder, 'home'),
        workshop: join(folder, 'workspace'),
        started: join(folder, 'started'),
        executions: join(folder, 'executions'),
        processFile: (execution: string): string => join(folder, 'executions', `${execution}.json`),
        executionLog: (execution: string): string => join(folder, 'executions', `${execution}.log`),
        executionPid: (execution: string): string => join(folder, 'executions', `${execution}.pid`),
      };
    },
  } as const;
}

export type EngineLayout = ReturnType<typeof engineLayout>;
