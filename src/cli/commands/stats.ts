import { formatBytes, formatDuration } from '../../base/units.ts';
import type { StatsAnswer } from '../../daemon/protocol.ts';
import { budgetRows } from '../printing/budget-rows.ts';
import type { RunCommand } from '../command.ts';
import { facts, printJson } from '../printing/output.ts';
import { parseOptions, requiredPositionals, switchOption } from '../reading/parse-options.ts';
import { askDaemon } from '../session/ask-daemon.ts';

/** `casemate stats`. */
export const run: RunCommand = async (args, context, row) => {
  const parsed = parseOptions(row, args);
  const [name = ''] = requiredPositionals(parsed, ['NAME']);
  const answer = await askDaemon(context, 'stats', { name });
  if (switchOption(parsed, 'json')) {
    printJson(context.stdout, answer);
  } else {
    context.stdout.write(facts(rows(answer)));
  }
  return 0;
};

function rows(stats: StatsAnswer): readonly (readonly [string, string])[] {
  const bytes = (value: number | undefined): string => (value === undefined ? 'unknown' : formatBytes(value));
  const { network } = stats;
  return [
    ['sandbox', `${stats.name} (${stats.state})`],
    ['memory', `${bytes(stats.memoryBytes)} of ${formatBytes(stats.memoryLimitBytes)}, peak ${bytes(stats.memoryPeakBytes)}`],
    ['processor', stats.cpuMs === undefined ? 'unknown' : formatDuration(stats.cpuMs)],
    ['processes', `${stats.pids ?? 'unknown'} of ${stats.pidsLimit}`],
    ['network', network === undefined ? 'none' : `${network.open} open, ${network.allowed} allowed, ${network.denied} denied`],
    ['sent', bytes(network?.bytesOut)],
    ['received', bytes(network?.bytesIn)],
    ...budgetRows(stats.budgets),
  ];
}
