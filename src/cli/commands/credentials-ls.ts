import { visible } from '../../base/text.ts';
import type { CredentialView, SourceView } from '../../sandbox/credential-calls/list-credentials.ts';
import type { CommandContext, RunCommand } from '../command.ts';
import { ago, printJson, table } from '../printing/output.ts';
import { optionalPositionals, parseOptions, switchOption } from '../reading/parse-options.ts';
import { askDaemon } from '../session/ask-daemon.ts';

/** `casemate credentials ls`: what exists, where it comes from and when it was used; never a value, nor a part of one. */
export const run: RunCommand = async (args, context, row) => {
  const parsed = parseOptions(row, args);
  optionalPositionals(parsed, []);
  const views = (await askDaemon(context, 'credential-list', { cwd: context.cwd })).map((view) => withVariables(view, context));
  if (switchOption(parsed, 'json')) {
    printJson(context.stdout, views);
    return 0;
  }
  const nowMs = Date.now();
  const rows = views.map((view) => rowOf(view, nowMs));
  context.stdout.write(table(['NAME', 'PROVIDER', 'SOURCE', 'HOSTS', 'AGE', 'LAST USE', 'SANDBOXES', 'STATE'], rows));
  return 0;
};

/** Whether a variable is set is looked at here: its value does not have to leave this process for that. */
function withVariables(view: CredentialView, { env }: CommandContext): CredentialView {
  const look = (source: SourceView): SourceView =>
    source.variable === undefined ? source : { ...source, has: env.get(source.variable) === undefined ? 'no' : 'yes' };
  return { ...view, sources: view.sources.map(look) };
}

function rowOf(view: CredentialView, nowMs: number): readonly string[] {
  const source = view.sources.find(({ has }) => has !== 'no') ?? view.sources[0];
  const age = ago(view.rotatedAt ?? view.setAt, nowMs);
  const lastUse = ago(view.lastUsedAt, nowMs);
  return [
    view.name,
    view.provider,
    source === undefined ? '' : `${source.text}${source.has === 'unknown' ? ' (not tried)' : ''}`,
    view.hosts.length > 2 ? `${view.hosts.slice(0, 2).join(', ')} and ${view.hosts.length - 2} more` : view.hosts.join(', '),
    age,
    lastUse === '' ? '' : `${lastUse} ago`,
    view.sandboxes.map(({ name }) => visible(name)).join(', '),
    stateOf(view),
  ];
}

function stateOf({ revoked, sources }: CredentialView): string {
  if (revoked.length > 0) {
    return `revoked ${revoked.includes('everywhere') ? 'everywhere' : `in ${revoked.join(', ')}`}`;
  }
  return sources.some(({ has }) => has === 'yes')
    ? 'there'
    : sources.some(({ has }) => has === 'unknown')
      ? 'not tried'
      : 'absent';
}
