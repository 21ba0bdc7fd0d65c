import { existsSync, realpathSync } from 'node:fs';
import { join } from 'node:path';

import { CasemateError } from '../base/errors.ts';
import { visible, nearest } from '../base/text.ts';
import type { CommandContext } from '../cli/command.ts';
import { callerName } from '../cli/reading/caller-name.ts';
import { toolContext, type Following } from '../cli/session/tool-context.ts';
import { ArgumentFault, type Tool } from '../mcp/tool.ts';
import type { ToolContext } from '../mcp/tool-context.ts';
import { createSession } from '../mcp/tools/create-session.ts';
import { destroySession } from '../mcp/tools/destroy-session.ts';
import { executeCommand } from '../mcp/tools/execute-command.ts';
import { executeInSession } from '../mcp/tools/execute-in-session.ts';
import { restoreSession, snapshotSession } from '../mcp/tools/snapshot-tools.ts';
import { transferFiles } from '../mcp/tools/transfer-files.ts';
import { environmentOf, processEnvironment } from '../system/environment.ts';
import { pathsFrom } from '../system/paths.ts';
import type * as Library from './library-types.ts';

/**
 * Sandboxes for programs: the same use cases as over MCP, with the same limits, as a typed object. The program is a caller like
 * an agent: whatever it was talked into, it gets no more than its policy allows.
 */
export const createSandbox: typeof Library.createSandbox = async (options) => {
  requireOptions(options);
  const { project, name, agent = 'none', apiKey, readonly = false, memory, cpus, timeoutMs } = options;
  const contextOf = libraryContext(options);
  const limits = withoutAbsent({ Memory: memory, CpuQuota: cpus === undefined ? undefined : Math.round(cpus * 100_000) });
  const made = await call<{ sessionId: string; sessionName: string }>(
    createSession,
    { projectPath: project, sessionName: name, agent, apiKey, readonly, timeoutMs, dockerOpts: limits },
    contextOf({}),
  );
  return { id: made.sessionId, name: made.sessionName, ...useOf(made.sessionId, contextOf) };
};

async function call<T>(tool: Tool, args: object, context: ToolContext): Promise<T> {
  // oxlint-disable-next-line no-unsafe-type-assertion -- the schema of the tool says so, and it was checked against it
  return (await tool.call(withoutAbsent(args), context).catch(inOwnWords)).structured as T;
}

/** What can be done with a sandbox that was made: each a tool, called as the caller that made it. */
function useOf(sessionId: string, contextOf: ContextOf): Omit<Library.Sandbox, 'id' | 'name'> {
  const destroy = async (): Promise<void> => void (await call(destroySession, { sessionId }, contextOf({})));
  const copy = async (
    direction: 'to_container' | 'from_container',
    { signal, ...more }: Library.CopyOptions & { readonly sourcePath: string; readonly destPath: string },
  ): Promise<Library.CopyResult> => await call(transferFiles, { sessionId, direction, ...more }, contextOf({ signal }));
  return {
    run: async (command, { signal, onProgress, ...more } = {}) =>
      await call(executeCommand, { sessionId, command, ...more }, contextOf({ signal, onProgress })),
    async task(prompt, { signal, onProgress, ...more } = {}) {
      return await call(executeInSession, { sessionId, prompt, ...more }, contextOf({ signal, onProgress }));
    },
    copyIn: async (sourcePath, destPath, more = {}) => await copy('to_container', { sourcePath, destPath, ...more }),
    copyOut: async (sourcePath, destPath, more = {}) => await copy('from_container', { sourcePath, destPath, ...more }),
    snapshot: async (label) => await call(snapshotSession, { sessionId, label }, contextOf({})),
    restore: async (snapshotId) => await call(restoreSession, { sessionId, snapshotId }, contextOf({})),
    destroy,
    [Symbol.asyncDispose]: destroy,
  };
}

type ContextOf = (following?: Following) => ToolContext;

function libraryContext({ project, roots: more = [], caller = 'library', env: given }: Library.SandboxOptions): ContextOf {
  const env = given === undefined ? processEnvironment : environmentOf(given);
  const { stdin, stdout, stderr } = process;
  const uid = process.geteuid?.() ?? 0;
  const paths = pathsFrom(env, uid);
  const context: CommandContext = { env, paths, cwd: '/', stdin, stdout, stderr, uid, entry: programPath() };
  const roots = [project, ...more].map((root) => (existsSync(root) ? realpathSync(root) : root));
  const contextOf = toolContext(context, { roots, caller: callerName(caller, 'caller') });
  return ({ signal, onProgress } = {}) => {
    if (onProgress === undefined) {
      return contextOf({ signal });
    }
    const cancel = new AbortController();
    // It is called from a timer: what it throws is the end of that call, not of the program.
    const tell = async (line: string): Promise<unknown> => onProgress(line);
    return contextOf({
      signal: AbortSignal.any([cancel.signal, ...(signal === undefined ? [] : [signal])]),
      onProgress: (line) => void tell(line).catch((error: unknown) => cancel.abort(error)),
    });
  };
}

const optionNames: Readonly<Record<keyof Library.SandboxOptions, true>> = {
  project: true,
  roots: true,
  name: true,
  agent: true,
  apiKey: true,
  readonly: true,
  memory: true,
  cpus: true,
  timeoutMs: true,
  caller: true,
  env: true,
};
const leastCpus = 0.05;

/** Programs without types: an option that is misspelt would be one that does not hold. */
function requireOptions(options: Library.SandboxOptions): void {
  const unknown = Object.keys(options).find((name) => !Object.hasOwn(optionNames, name));
  if (unknown !== undefined) {
    const near = nearest(unknown, Object.keys(optionNames));
    throw new CasemateError('USAGE', `createSandbox: ${visible(unknown)}: there is no such option`, {
      hint: near === undefined ? `There are: ${Object.keys(optionNames).join(', ')}.` : `Did you mean "${near}"?`,
    });
  }
  if (typeof options.project !== 'string') {
    throw new CasemateError('USAGE', 'createSandbox: project: is not a path');
  }
  if (options.cpus !== undefined && !(options.cpus >= leastCpus)) {
    throw new CasemateError('USAGE', `createSandbox: cpus: is not a number from ${leastCpus} on`);
  }
}

/** Of arguments of the tools, as they are called here. */
const ownNames: Readonly<Record<string, string>> = {
  projectPath: 'project',
  sessionName: 'name',
  'dockerOpts.Memory': 'memory',
  'dockerOpts.CpuQuota': 'cpus',
};

function inOwnWords(thrown: unknown): never {
  if (thrown instanceof ArgumentFault) {
    throw new CasemateError('USAGE', `${ownNames[thrown.place] ?? thrown.place}: ${thrown.what}`, { cause: thrown });
  }
  throw thrown;
}

/** The command line that is beside this file, in the sources and in what is built of them. */
function programPath(): string {
  return import.meta.filename.endsWith('.ts')
    ? join(import.meta.dirname, '../cli/main.ts')
    : join(import.meta.dirname, 'casemate.js');
}

function withoutAbsent(values: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}
