import type { LayerName } from '../../base/layers.ts';
import { visible } from '../../base/text.ts';
import { formatBytes, formatDuration } from '../../base/units.ts';
import { formatFunctions } from '../../policy/judging/format-functions.ts';
import type { Plan } from '../../sandbox/plan/plan.ts';
import type { CommandContext, RunCommand } from '../command.ts';
import { makeRequest } from '../reading/make-request.ts';
import { facts, printJson } from '../printing/output.ts';
import { optionalPositionals, parseOptions, switchOption } from '../reading/parse-options.ts';
import { askDaemon } from '../session/ask-daemon.ts';

/** `casemate plan`: everything that a start would do, and its hash. Nothing is started. */
export const run: RunCommand = async (args, context, row) => {
  const parsed = parseOptions(row, args);
  optionalPositionals(parsed, []);
  const { hash, plan } = await askDaemon(context, 'plan', makeRequest(parsed, context));
  if (switchOption(parsed, 'json')) {
    printJson(context.stdout, { hash, plan });
  } else {
    print(context, hash, plan);
  }
  return 0;
};

function layoutText({ layout = [], mode }: Plan['workspace']): string {
  return layout.map((name) => (name === 'imports' || mode === 'readonly' ? `${name} (read-only)` : name)).join(' ');
}

/** A waived limit still holds where the host can give it; the plan does not promise it. */
function unlessWaived({ waive }: Plan, layer: LayerName, limit: string): string {
  return waive.includes(layer) ? `${limit} where the host can (${layer} is waived)` : limit;
}

function print({ stdout }: CommandContext, hash: string, plan: Plan): void {
  const { limits, workspace, image } = plan;
  stdout.write(
    facts([
      ['plan', hash],
      ['policy', plan.policy.hash],
      ...plan.policy.files.map(({ layer, path, sha256 }) => [`  ${layer}`, `${path} (sha256 ${sha256.slice(0, 12)})`] as const),
      ['level', plan.level],
      ['engine', `${plan.engine} (${plan.runtime})${plan.engineWhy === undefined ? '' : `: ${plan.engineWhy}`}`],
      ...(plan.lacks ?? []).map(
        ({ layer, detail }) =>
          [`  lacks ${layer}`, `${plan.waive.includes(layer) ? 'waived' : `needs --waive ${layer}`}: ${detail}`] as const,
      ),
      ['agent', plan.agent === undefined ? 'none' : `${plan.agent.name} (permissions: ${plan.agent.permissions})`],
      ['image', `${image.recipe} ${image.digest ?? '(not built)'}`],
      ['workspace', `${workspace.path} as /workspace (${workspace.mode})`],
      ['protected', workspace.mode === 'direct' ? workspace.protect.join(' ') : 'everything'],
      ...(workspace.layout === undefined ? [] : [['layout', layoutText(workspace)] as const]),
      ['home', plan.home.files.concat(plan.home.copied).join(' ') || 'empty'],
      ...plan.home.leftOut.map(({ path, why }) => ['  left out', `${path}: ${why}`] as const),
      ...(plan.docker === undefined ? [] : [['docker', dockerText(plan.docker)] as const]),
      ['memory', unlessWaived(plan, 'memory-limit', formatBytes(limits.memoryBytes))],
      ['processors', unlessWaived(plan, 'cpu-limit', String(limits.cpus))],
      ['processes', unlessWaived(plan, 'pids-limit', String(limits.pids))],
      ['disk', unlessWaived(plan, 'disk-limit', formatBytes(limits.diskBytes))],
      ['time', limits.timeMs === undefined ? 'no limit' : formatDuration(limits.timeMs)],
      ['waived', plan.waive.join(' ') || 'nothing'],
    ]),
  );
  stdout.write(
    `network\n${networkLines(plan)
      .map((line) => `  ${visible(line)}\n`)
      .join('')}`,
  );
}

function dockerText({ build, images }: NonNullable<Plan['docker']>): string {
  const named = images.length === 0 ? 'only its own images' : images.map(visible).join(' ');
  return `run${build ? ' and build' : ''}, images: ${named}; half of memory, processors and processes is for containers`;
}

function networkLines({ network }: Plan): readonly string[] {
  const lines = network.rules.map((rule) => {
    const host = rule.host.kind === 'exact' ? rule.host.host : `*.${rule.host.host}`;
    const functions = formatFunctions(rule)?.join('; ') ?? 'everything';
    const key = rule.credential === undefined ? '' : `  key: ${rule.credential}`;
    return `${host}:${rule.ports.join(',')}  ${functions}${key}  [${rule.id}]`;
  });
  return lines.length === 0 ? ['nothing is reachable'] : lines;
}
