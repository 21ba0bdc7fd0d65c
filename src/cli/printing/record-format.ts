import type { Found } from '../../journal/query.ts';
import { terminalSafeJson } from '../../base/text.ts';
import { renderRecord } from '../../journal/render.ts';
import type { Environment } from '../../system/environment.ts';
import type { CommandContext } from '../command.ts';
import type { ParsedOptions } from '../reading/parse-options.ts';

/** How the journal commands print a record: for people, or as one line of JSON that is safe on a terminal too. */
export function recordFormat(
  parsed: ParsedOptions,
  { stdout, env }: Pick<CommandContext, 'stdout' | 'env'>,
): (found: Found) => string {
  if (parsed.values['json'] === true) {
    return ({ bytes }) => `${terminalSafeJson(bytes.toString('utf8'))}\n`;
  }
  const colours = wantsColours(stdout, env) ? 'on' : 'off';
  return ({ record }) => `${renderRecord(record, { colours })}\n`;
}

/** https://no-color.org: any value but an empty one. */
function wantsColours(stdout: { readonly isTTY?: boolean }, env: Environment): boolean {
  return stdout.isTTY === true && env.get('NO_COLOR') === undefined && env.get('TERM') !== 'dumb';
}
