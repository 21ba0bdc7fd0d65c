import { resolve } from 'node:path';

import { visible } from '../../base/text.ts';
import { formatBytes, formatDuration } from '../../base/units.ts';
import { hashPolicy } from '../../policy/hash.ts';
import type { Policy } from '../../policy/policy.ts';
import { projectGrants } from '../../policy/layers/project-grants.ts';
import type { LoadedPolicy } from '../../sandbox/policy-files/load-policy.ts';
import type { CommandContext, RunCommand } from '../command.ts';
import { facts, printJson } from '../printing/output.ts';
import { optionalPositionals, parseOptions, switchOption } from '../reading/parse-options.ts';
import { readPolicy } from '../reading/read-policy.ts';

/** `casemate policy check`: reads the layers as a start would, and shows the result. */
export const run: RunCommand = async (args, context, row) => {
  const parsed = parseOptions(row, args);
  const [file] = optionalPositionals(parsed, ['FILE']);
  const loaded = await readPolicy(context, { explicitFile: file === undefined ? undefined : resolve(context.cwd, file) });
  const { policy, files } = loaded;
  if (switchOption(parsed, 'json')) {
    printJson(context.stdout, { hash: hashPolicy(policy), files, grants: projectGrants(policy), notes: notesOn(policy), policy });
  } else {
    print(context, loaded);
  }
  return 0;
};

function print({ stdout }: CommandContext, { policy, files }: LoadedPolicy): void {
  const { agent } = policy;
  stdout.write(
    facts([
      ['policy', hashPolicy(policy)],
      ...files.map(({ layer, path, sha256 }) => [`  ${layer}`, `${path} (sha256 ${sha256.slice(0, 12)})`] as const),
      ['level', policy.level],
      ['agent', agent.name === undefined ? 'none' : `${agent.name} (permissions: ${agent.permissions})`],
      ['image', policy.image],
      ['engine', policy.engine],
      ['runtime', policy.runtime],
      ['workspace', `${policy.workspace.path} (${policy.workspace.mode})`],
      ['presets', policy.presets.join(' ') || 'none'],
      ['rules', String(policy.network.length)],
      ['limits', limitsLine(policy)],
      ['waived', policy.waive.join(' ') || 'nothing'],
    ]),
  );
  const grants = projectGrants(policy);
  if (grants.length > 0) {
    stdout.write(`the project asks for\n${grants.map((grant) => `  - ${visible(grant)}\n`).join('')}`);
  }
  stdout.write(
    notesOn(policy)
      .map((note) => `note: ${visible(note)}\n`)
      .join(''),
  );
}

function limitsLine({ limits }: Policy): string {
  const time = limits.timeMs === undefined ? 'no time limit' : `${formatDuration(limits.timeMs)} of time`;
  return `${formatBytes(limits.memoryBytes)} memory, ${limits.cpus} processors, ${limits.pids} processes, ${formatBytes(limits.diskBytes)} disk, ${time}`;
}

/** What is allowed and yet most likely not meant. */
function notesOn({ agent, presets }: Policy): readonly string[] {
  return agent.name === undefined || presets.includes(agent.name)
    ? []
    : [`the agent ${agent.name} is used, but its preset is not listed: it reaches only what the rules allow`];
}
