import { CasemateError } from '../../base/errors.ts';
import type { RequestView } from '../../sandbox/requests/approvals.ts';
import type { CommandContext, CommandRow } from '../command.ts';
import { connectDaemon } from '../session/connect.ts';
import { terminalSafeJson } from '../../base/text.ts';
import { printJson } from '../printing/output.ts';
import { optionalPositionals, parseOptions, switchOption } from '../reading/parse-options.ts';
import { requestText } from '../printing/request-text.ts';
import { askDaemon } from '../session/ask-daemon.ts';

/** `casemate requests`: what was denied and may still be allowed; with --follow each as it arrives, while it waits. */
export async function run(args: readonly string[], context: CommandContext, row: CommandRow): Promise<number> {
  const parsed = parseOptions(row, args);
  optionalPositionals(parsed, []);
  const json = switchOption(parsed, 'json');
  if (switchOption(parsed, 'follow')) {
    return await follow(context, json ? 'json' : 'text');
  }
  const views = await askDaemon(context, 'requests', {});
  if (json) {
    printJson(context.stdout, views);
  } else if (views.length === 0) {
    context.stdout.write(
      'no running sandbox was denied what you could allow; for one that has ended: casemate policy propose --from-journal SANDBOX\n',
    );
  } else {
    context.stdout.write(`${views.map((view) => requestText(view, Date.now())).join('\n')}${hint}`);
  }
  return 0;
}

const hint = '\nTo answer: casemate approve ID, casemate deny ID\n';

/** Text: each request once, and again when it begins to wait. JSON: a line with the whole list at every change. */
async function follow(context: CommandContext, form: 'text' | 'json'): Promise<number> {
  const { stdout, stderr } = context;
  const shown = new Set<string>();
  const show = (text: string): void => {
    if (form === 'json') {
      stdout.write(`${terminalSafeJson(text)}\n`);
      return;
    }
    for (const view of readViews(text).toReversed()) {
      const key = `${view.id} ${view.state}`;
      if (!shown.has(key)) {
        shown.add(key);
        stdout.write(`${requestText(view, Date.now())}${view.state === 'waiting' ? answerLine(view) : ''}\n`);
      }
    }
  };
  if (form === 'text') {
    stderr.write('what is denied waits here for an answer (casemate approve ID, casemate deny ID); interrupt to end\n');
  }
  const interrupted = new AbortController();
  const stop = (): void => interrupted.abort();
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  try {
    // oxlint-disable-next-line no-await-in-loop -- one daemon after the other
    while ((await followOnce(context, show, interrupted.signal)) === 'lost') {
      stderr.write('casemate: the daemon was lost; what waited is gone, following the next one\n');
    }
  } finally {
    process.off('SIGINT', stop);
    process.off('SIGTERM', stop);
  }
  return 0;
}

/** `lost`: the daemon died; `over`: it ended in order, or the person has seen enough. */
async function followOnce(
  context: CommandContext,
  show: (text: string) => void,
  interrupted: AbortSignal,
): Promise<'lost' | 'over'> {
  const client = await connectDaemon(context, { progress: show });
  const close = (): void => client.close();
  interrupted.addEventListener('abort', close, { once: true });
  // To connect takes a moment, in which the person may have seen enough.
  if (interrupted.aborted) {
    close();
  }
  try {
    const ended = client.call('requests-follow', {}).then(
      () => 'over' as const,
      () => 'lost' as const,
    );
    const how = await Promise.race([ended, client.whenClosed().then(() => ended)]);
    return interrupted.aborted ? 'over' : how;
  } finally {
    interrupted.removeEventListener('abort', close);
    client.close();
  }
}

function answerLine({ id }: RequestView): string {
  return `  answer   casemate approve ${id}    or    casemate deny ${id}\n`;
}

function readViews(text: string): readonly RequestView[] {
  try {
    // oxlint-disable-next-line no-unsafe-type-assertion -- our own daemon of the same build, behind a socket only this user can open
    return JSON.parse(text) as readonly RequestView[];
  } catch (cause) {
    throw new CasemateError('INTERNAL', 'the daemon said what is no list of requests', { cause });
  }
}
