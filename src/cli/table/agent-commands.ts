import type { CommandTable } from '../command.ts';
import { json } from './shared-options.ts';

/** The rows of the command table about agents. */
export const agentCommands: CommandTable = {
  'agent ls': {
    group: 'Agents',
    summary: 'List the agents that a policy can name, and where each is described',
    usage: '',
    options: [json],
    about:
      'Besides the built-in agents, YAML and JSON files describe agents: yours in the folder agents beside your ' +
      "policy, the organisation's beside its own. Files of a project are never used, because an agent says where " +
      'credentials go.',
    examples: ['casemate agent ls'],
    load: () => import('../commands/agent-ls.ts'),
  },
  'agent show': {
    group: 'Agents',
    summary: 'Show how an agent starts, what it can reach and what its home folder contains',
    usage: 'NAME',
    options: [json],
    examples: ['casemate agent show claude'],
    load: () => import('../commands/agent-show.ts'),
  },
  'agent check': {
    group: 'Agents',
    summary: 'Check a file that describes an agent',
    usage: 'FILE',
    options: [json],
    examples: ['casemate agent check ./opencode.yaml'],
    load: () => import('../commands/agent-check.ts'),
  },
  'agent schema': {
    group: 'Agents',
    summary: 'Print the JSON Schema of a file that describes an agent, for editors',
    usage: '',
    options: [json],
    examples: ['casemate agent schema > agent.schema.json'],
    load: () => import('../commands/agent-schema.ts'),
  },
};
