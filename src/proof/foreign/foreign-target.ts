import { basename } from 'node:path';

import { atTerminal } from '../outside/host-terminal.ts';
import type { InsideOptions, Target } from '../target.ts';
import type { CommandTemplate, TemplateFolders } from './command-template.ts';
import { hold, type Holder } from './holder.ts';
import { packProgram } from './pack-program.ts';
import { runForeign, type Identity } from './run-foreign.ts';

/** Someone else's sandbox, made again by its command for each program that is run inside. */
export interface ForeignTarget extends Target {
  /** Ends what still runs in it. */
  readonly close: () => Promise<void>;
}

export interface ForeignTargetOptions {
  readonly template: CommandTemplate;
  readonly folders: TemplateFolders;
  /** the whole environment of the command */
  readonly env: Readonly<Record<string, string>>;
  readonly as?: Identity | undefined;
  /** for one program inside, its start included */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

export function foreignTarget({ template, folders, timeoutMs, ...options }: ForeignTargetOptions): ForeignTarget {
  const around = (command: readonly string[]): readonly string[] => template.around(packProgram(command), folders);
  const call = { ...options, cwd: folders.work, timeoutMs };
  let holder: Promise<Holder> | undefined;
  return {
    name: basename(template.words[0] ?? ''),
    plan: undefined,
    async inside(command: readonly string[], { input, terminal }: InsideOptions = {}) {
      const words = around(command);
      return await runForeign(terminal === undefined ? words : await atTerminal(terminal, words), { ...call, input });
    },
    async processes() {
      return (await (holder ??= hold(around, call))).pids;
    },
    async close() {
      await (await holder?.catch(() => undefined))?.end();
    },
  };
}
