import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import type { CloseAnswer } from '../../daemon/protocol.ts';
import { isRepository, type NewRepositories } from '../../workspace/new-repositories.ts';
import type { CommandContext } from '../command.ts';

/** How a command in a sandbox ended. */
export interface Ended {
  readonly exitCode: number;
  /** why it did not run, or not all that it printed arrived: told once the rest is */
  readonly fault?: CasemateError | undefined;
}

/** What is said of an end that the daemon knows. Gives the exit code to leave with: the command's own, 124 when a time limit ended it. */
export function tellEnd({ stderr }: CommandContext, { exitCode, fault }: Ended, closed: CloseAnswer): number {
  for (const line of repositoryLines(closed.repositories)) {
    stderr.write(`casemate: ${line}\n`);
  }
  if (fault !== undefined) {
    throw fault;
  }
  if (closed.timedOut) {
    stderr.write('casemate: ended, because a time limit was reached (exit code 124)\n');
    return 124;
  }
  return exitCode;
}

export function unwritable(why: string, cause?: unknown): CasemateError {
  return new CasemateError('OUTPUT_UNWRITABLE', `what the command printed is lost: ${why}`, { cause });
}

export function unstarted(file: string, why: string, cause?: unknown): CasemateError {
  return new CasemateError('TOOL_MISSING', `cannot start ${file}: ${why}`, { cause });
}

/** Shown at most, the rest as a number. */
const shownPaths = 5;

function repositoryLines({ paths, complete }: NewRepositories): readonly string[] {
  const [repositories, left] = [paths.filter(isRepository), paths.filter((path) => !isRepository(path))];
  return [
    ...linesOf(repositories, [
      'new or changed git repositories in the workspace',
      'git there, and `git status` above one that was added, runs programs that its settings name: look at its .git/config first',
    ]),
    ...linesOf(left, [
      'look at these in the workspace before you run git or another tool there',
      'tools of this host write through such links, write to places that such files name, or do what stands in them',
    ]),
    ...(complete ? [] : ['the workspace could not be searched to its end for new git repositories']),
  ];
}

function linesOf(paths: readonly string[], [head, meaning]: readonly [string, string]): readonly string[] {
  const more = paths.length > shownPaths ? ` and ${paths.length - shownPaths} more` : '';
  return paths.length === 0 ? [] : [`${head}: ${paths.slice(0, shownPaths).map(visible).join(', ')}${more}`, meaning];
}
