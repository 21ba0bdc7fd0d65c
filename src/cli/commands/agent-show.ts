import { readAgents } from '../../agents/described/read-agents.ts';
import { CasemateError } from '../../base/errors.ts';
import { nearest, visible } from '../../base/text.ts';
import type { RunCommand } from '../command.ts';
import { agentFacts, agentView } from '../printing/agent-text.ts';
import { facts, printJson } from '../printing/output.ts';
import { parseOptions, requiredPositionals, switchOption } from '../reading/parse-options.ts';

/** `casemate agent show NAME`. */
export const run: RunCommand = async (args, { paths, uid, stdout }, row) => {
  const parsed = parseOptions(row, args);
  const [name = ''] = requiredPositionals(parsed, ['NAME']);
  const agents = await readAgents(paths, uid);
  const agent = Object.hasOwn(agents, name) ? agents[name] : undefined;
  if (agent === undefined) {
    const near = nearest(name, Object.keys(agents));
    throw new CasemateError('USAGE', `there is no agent "${visible(name)}"`, {
      hint: near === undefined ? 'See: casemate agent ls' : `Did you mean "${near}"?`,
    });
  }
  if (switchOption(parsed, 'json')) {
    printJson(stdout, agentView(agent));
  } else {
    stdout.write(facts(agentFacts(agent)));
  }
  return 0;
};
