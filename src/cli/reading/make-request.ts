import { resolve } from 'node:path';

import { CasemateError } from '../../base/errors.ts';
import { parseDurationMs } from '../../base/units.ts';
import { visible } from '../../base/text.ts';
import type { MakeRequest } from '../../sandbox/making/prepare.ts';
import { greatestWaitMs } from '../../sandbox/host/room.ts';
import type { CommandContext } from '../command.ts';
import { listOption, switchOption, textOption, type ParsedOptions } from './parse-options.ts';

/** Turns the options that `run`, `create` and `plan` share into a request to the daemon. */
export function makeRequest(parsed: ParsedOptions, context: CommandContext): MakeRequest {
  const policyFile = textOption(parsed, 'policy');
  const workspace = textOption(parsed, 'workspace');
  return {
    cwd: context.cwd,
    policyFile: policyFile === undefined ? undefined : resolve(context.cwd, policyFile),
    engine: textOption(parsed, 'engine'),
    runtime: textOption(parsed, 'runtime'),
    agent: textOption(parsed, 'agent'),
    image: textOption(parsed, 'image'),
    workspace: workspace === undefined ? undefined : resolve(context.cwd, workspace),
    readonly: switchOption(parsed, 'readonly'),
    skipPermissions: switchOption(parsed, 'skip-permissions'),
    waive: listOption(parsed, 'waive'),
    trust: switchOption(parsed, 'trust'),
    timeoutMs: durationOption(parsed, 'timeout'),
  };
}

/** How long to wait in the line. Throws `USAGE`. */
export function queueOption(parsed: ParsedOptions): number | undefined {
  const waitMs = durationOption(parsed, 'queue');
  if (waitMs !== undefined && waitMs > greatestWaitMs) {
    throw new CasemateError('USAGE', '--queue is longer than an hour', { hint: 'Write for example 90s, 15m or 1h.' });
  }
  return waitMs;
}

/** A time such as `90s` as milliseconds. Throws `USAGE`. */
export function durationOption(parsed: ParsedOptions, name: string): number | undefined {
  const text = textOption(parsed, name);
  const ms = text === undefined ? undefined : parseDurationMs(text);
  if (text !== undefined && ms === undefined) {
    throw new CasemateError('USAGE', `--${name} "${visible(text)}" is not a time`, { hint: 'Write for example 90s, 15m or 2h.' });
  }
  return ms;
}
