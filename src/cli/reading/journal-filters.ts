import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import { parseDurationMs } from '../../base/units.ts';
import { sandboxIds, type Filters } from '../../journal/query.ts';
import type { Segment } from '../../journal/segments.ts';
import { textOption, type ParsedOptions } from './parse-options.ts';

/** The filter options that `journal query` and `journal export` share. */

/** Throws `USAGE` for a value that cannot be read, `SANDBOX_NOT_FOUND` for a name that no record has. */
export async function readFilters(
  parsed: ParsedOptions,
  context: { readonly segments: readonly Segment[]; readonly nowMs: number },
): Promise<Filters> {
  const { segments, nowMs } = context;
  const sandbox = textOption(parsed, 'sandbox');
  return {
    action: textOption(parsed, 'action'),
    decision: readDecision(textOption(parsed, 'decision')),
    sinceMs: readTime('since', textOption(parsed, 'since'), nowMs),
    untilMs: readTime('until', textOption(parsed, 'until'), nowMs),
    text: textOption(parsed, 'grep'),
    sandboxes: sandbox === undefined ? undefined : await knownSandboxes(segments, sandbox),
  };
}

/** Ids of the sandboxes of this name or id. Throws `SANDBOX_NOT_FOUND` where no record has it. */
export async function knownSandboxes(segments: readonly Segment[], nameOrId: string): Promise<ReadonlySet<string>> {
  const ids = await sandboxIds(segments, nameOrId);
  if (ids.size === 0) {
    throw new CasemateError('SANDBOX_NOT_FOUND', `no record tells of a sandbox "${visible(nameOrId)}"`, {
      hint: 'Names are matched exactly. See: casemate journal query --action sandbox.',
    });
  }
  return ids;
}

function readDecision(text: string | undefined): Filters['decision'] {
  if (text === undefined || text === 'allow' || text === 'deny' || text === 'none') {
    return text;
  }
  throw new CasemateError('USAGE', `--decision ${visible(text)} is not a decision`, { hint: 'Use allow, deny or none.' });
}

// RFC 3339; a zone is asked for, because a time without one means something else on each machine.
const instant = /^\d{4}-\d\d-\d\d(?:[Tt ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:[Zz]|[+-]\d\d:\d\d))?$/;

/** A duration before now, or a time. A date alone is midnight UTC. */
export function readTime(option: string, text: string | undefined, nowMs: number): number | undefined {
  if (text === undefined) {
    return undefined;
  }
  const duration = parseDurationMs(text);
  const time =
    duration === undefined && instant.test(text) ? Date.parse(text.replace(' ', 'T')) : nowMs - (duration ?? Number.NaN);
  if (Number.isNaN(time)) {
    throw new CasemateError('USAGE', `--${option} ${visible(text)} is not a time`, {
      hint: 'Use a duration such as 30m, 24h or 7d, or a time such as 2026-05-01T12:00:00Z.',
    });
  }
  return time;
}
