import { dirname, resolve } from 'node:path';

import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import { formatBytes } from '../../base/units.ts';
import { transferFiles } from '../../mcp/tools/transfer-files.ts';
import type { RunCommand } from '../command.ts';
import { stepProgress } from '../printing/step-progress.ts';
import { printJson } from '../printing/output.ts';
import { durationOption } from '../reading/make-request.ts';
import { parseOptions, requiredPositionals, switchOption } from '../reading/parse-options.ts';
import { toolContext } from '../session/tool-context.ts';

/** `casemate cp`: files and folders into a running sandbox or out of it. */
export const run: RunCommand = async (args, context, row) => {
  const parsed = parseOptions(row, args);
  const { cwd, stdout, stderr } = context;
  const [source = '', destination = ''] = requiredPositionals(parsed, ['SOURCE', 'DESTINATION']);
  const sides = sidesOf(source, destination);
  // As it was typed: a link on the way may have been written by a sandbox, and is refused where the path is opened.
  const host = `${resolve(cwd, sides.host)}${/.\/$/.test(sides.host) ? '/' : ''}`;
  const json = switchOption(parsed, 'json');
  const ending = new AbortController();
  const interrupt = (): void => ending.abort(new Error('interrupted'));
  process.once('SIGINT', interrupt).once('SIGTERM', interrupt);
  const progress = stepProgress(context);
  const later = setTimeout(() => progress.line(`copying ${source} to ${destination}`), quietMs);
  try {
    const asked = {
      sessionId: sides.sandbox,
      direction: sides.direction,
      sourcePath: sides.direction === 'to_container' ? host : sides.inside,
      destPath: sides.direction === 'to_container' ? sides.inside : host,
      overwrite: switchOption(parsed, 'overwrite'),
      timeoutMs: durationOption(parsed, 'timeout'),
    };
    const following = toolContext(context, { roots: [dirname(resolve(host))] });
    const { structured } = await transferFiles.call(asked, following({ signal: ending.signal }));
    const { files, bytes } = structured;
    clearTimeout(later);
    progress.stop();
    if (json) {
      printJson(stdout, structured);
    } else {
      stdout.write(`${Number(files)} ${files === 1 ? 'file' : 'files'}, ${formatBytes(Number(bytes))}, the same at both ends\n`);
    }
    return 0;
  } catch (error) {
    if (ending.signal.aborted) {
      stderr.write('\ncasemate: interrupted; files that had arrived are whole and stay\n');
      return 130;
    }
    throw error;
  } finally {
    clearTimeout(later);
    progress.stop();
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
  }
};

/** What takes less is told by its end. */
const quietMs = 1000;

interface Sides {
  readonly direction: 'to_container' | 'from_container';
  readonly sandbox: string;
  readonly inside: string;
  readonly host: string;
}

/** `NAME:PATH` on exactly one side. A path of the host that holds a colon is written with `./` or `/` before it. */
function sidesOf(source: string, destination: string): Sides {
  const [from, to] = [insideOf(source), insideOf(destination)];
  if (from !== undefined && to === undefined) {
    return { direction: 'from_container', ...from, host: destination };
  }
  if (from === undefined && to !== undefined) {
    return { direction: 'to_container', ...to, host: source };
  }
  const what = from === undefined ? 'neither argument is a path' : 'both arguments are paths';
  throw new CasemateError('USAGE', `cp copies between the host and a sandbox: ${what} in a sandbox (NAME:PATH)`, {
    hint: 'For example: casemate cp work:dist ./dist, or: casemate cp ./data.csv work:',
  });
}

function insideOf(text: string): Pick<Sides, 'sandbox' | 'inside'> | undefined {
  const [, sandbox, path = ''] = /^([A-Za-z0-9][A-Za-z0-9_.-]*):(.*)$/s.exec(text) ?? [];
  if (sandbox === undefined) {
    return undefined;
  }
  if (path.includes('\0')) {
    throw new CasemateError('USAGE', `${visible(text)} holds a NUL`);
  }
  return { sandbox, inside: path === '' ? './' : path };
}
