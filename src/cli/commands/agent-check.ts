import { resolve } from 'node:path';

import { describedAgent, readAgentFile } from '../../agents/described/read-agents.ts';
import type { RunCommand } from '../command.ts';
import { agentFacts, agentView } from '../printing/agent-text.ts';
import { facts, printJson } from '../printing/output.ts';
import { parseOptions, requiredPositionals, switchOption } from '../reading/parse-options.ts';

/** `casemate agent check FILE`: judges the file as a start would, and shows the result. */
export const run: RunCommand = async (args, { cwd, uid, stdout }, row) => {
  const parsed = parseOptions(row, args);
  const [file = ''] = requiredPositionals(parsed, ['FILE']);
  const agent = describedAgent(await readAgentFile(resolve(cwd, file), uid));
  if (switchOption(parsed, 'json')) {
    printJson(stdout, agentView(agent));
  } else {
    stdout.write(facts(agentFacts(agent)));
  }
  return 0;
};
