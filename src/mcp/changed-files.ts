import { CasemateError } from '../base/errors.ts';
import { gather } from '../base/gather.ts';
import { openCommand, runCommand } from './run-command.ts';
import type { ToolContext } from './tool-context.ts';

/**
 * Which files of the workspace a task changed, from lists made before and after by a process inside. No path that a sandbox
 * wrote is followed on the host. A change is missed if someone restores the file's old size and times to hide it.
 */
export interface FileChange {
  readonly path: string;
  readonly change: 'added' | 'changed' | 'removed';
}

export interface FileList {
  /** path in the workspace to what tells one state of it from another */
  readonly files: ReadonlyMap<string, string>;
  /** it holds every file */
  readonly complete: boolean;
}

const maxListBytes = 16 * 1024 * 1024;
const maxChanges = 1000;

const list = ['/usr/bin/find', '/workspace', '-xdev', '(', '-name', '.git', '-o', '-name', 'node_modules', ')', '-prune', '-o'];
const rows = ['(', '-type', 'f', '-o', '-type', 'l', ')', '-printf', '%s %T@ %C@ %i %P\\0'];

export async function listFiles(context: ToolContext, name: string): Promise<FileList> {
  const held = gather();
  const open = await openCommand(context, { name, command: [...list, ...rows], timeoutMs: 30_000 });
  const { exitCode } = await runCommand(context, open, {
    maxOutputBytes: 1024,
    quiet: true,
    onOutput(piece) {
      if (held.size() <= maxListBytes) {
        held.add(piece);
      }
    },
  });
  const size = held.size();
  if (exitCode !== 0 && size === 0) {
    throw new CasemateError('ENGINE_FAILED', `the files of the workspace cannot be listed (exit code ${exitCode})`);
  }
  const entries = held.take().toString('utf8').split('\0').slice(0, -1);
  const files = new Map(entries.flatMap((entry) => splitEntry(entry)));
  return { files, complete: exitCode === 0 && size <= maxListBytes };
}

function splitEntry(entry: string): readonly (readonly [string, string])[] {
  const [, state, path] = /^(\d+ [\d.]+ [\d.]+ \d+) ([^]+)$/.exec(entry) ?? [];
  return state === undefined || path === undefined ? [] : [[path, state]];
}

export function changesBetween(
  before: FileList,
  after: FileList,
): { readonly changes: readonly FileChange[]; readonly complete: boolean } {
  const changes: FileChange[] = [];
  for (const [path, state] of after.files) {
    const old = before.files.get(path);
    if (old !== state) {
      changes.push({ path, change: old === undefined ? 'added' : 'changed' });
    }
  }
  for (const path of before.files.keys()) {
    if (!after.files.has(path)) {
      changes.push({ path, change: 'removed' });
    }
  }
  const sorted = changes.toSorted((a, b) => (a.path < b.path ? -1 : 1));
  return {
    changes: sorted.slice(0, maxChanges),
    complete: before.complete && after.complete && sorted.length <= maxChanges,
  };
}
