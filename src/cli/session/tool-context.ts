import { homedir } from 'node:os';

import { createBackground } from '../../mcp/background.ts';
import type { ToolContext } from '../../mcp/tool-context.ts';
import { programFolders } from '../../system/environment.ts';
import type { CommandContext } from '../command.ts';
import { sessionDefaults } from '../reading/session-defaults.ts';
import { connectDaemon } from './connect.ts';
import { ownIdentity } from './session.ts';

/** What the tools' use cases are given if no MCP client calls them but a command or a program does. */
export interface Asking {
  /** of the host, real and absolute: where files may be read and written */
  readonly roots: readonly string[];
  /** acts with no more than this caller may; `undefined`: the person at the command line */
  readonly caller?: string | undefined;
}

export interface Following {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((line: string) => void) | undefined;
}

/** The same background for all that one asker does. */
export function toolContext(context: CommandContext, { roots, caller }: Asking): (following?: Following) => ToolContext {
  const { env, paths } = context;
  const claim = caller === undefined ? {} : { caller: { name: caller, roots }, asksNobody: true };
  const shared = {
    identity: ownIdentity,
    defaults: sessionDefaults(env),
    host: { roots, paths, userHome: env.get('HOME') ?? homedir(), programFolders: programFolders(env) },
    background: createBackground(),
    connect: async (progress: (text: string) => void = () => undefined) => await connectDaemon(context, { ...claim, progress }),
  };
  return ({ signal = new AbortController().signal, onProgress = () => undefined } = {}) => ({
    ...shared,
    signal,
    progress: onProgress,
    spend: () => undefined,
  });
}
