import { visible } from '../../base/text.ts';
import { readAgents } from '../../agents/described/read-agents.ts';
import type { RunCommand } from '../command.ts';
import { placeOf } from '../printing/agent-text.ts';
import { printJson, table } from '../printing/output.ts';
import { optionalPositionals, parseOptions, switchOption } from '../reading/parse-options.ts';

/** `casemate agent ls`. */
export const run: RunCommand = async (args, { paths, uid, stdout }, row) => {
  const parsed = parseOptions(row, args);
  optionalPositionals(parsed, []);
  const agents = Object.values(await readAgents(paths, uid));
  if (switchOption(parsed, 'json')) {
    printJson(
      stdout,
      agents.map((agent) => ({
        name: agent.name,
        title: agent.title,
        image: agent.recipe,
        credential: agent.provider ?? null,
        describedBy: agent.describedBy ?? 'casemate',
        path: agent.description?.path ?? null,
      })),
    );
    return 0;
  }
  const rows = agents.map((agent) => [agent.name, agent.title, visible(agent.recipe), agent.provider ?? '-', placeOf(agent)]);
  stdout.write(table(['NAME', 'TITLE', 'IMAGE', 'CREDENTIAL', 'DESCRIBED BY'], rows));
  return 0;
};
