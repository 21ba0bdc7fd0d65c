import type { CommandTable } from '../command.ts';
import { json, makeOptions, policyFile } from './shared-options.ts';

/** The rows of the command table about policies and plans. */
export const policyCommands: CommandTable = {
  plan: {
    group: 'Policy',
    summary: 'Print everything a start here would do, with its hash; starts nothing',
    usage: '[OPTION...]',
    options: [...makeOptions.filter((option) => option.name !== 'trust'), json],
    examples: ['casemate plan', 'casemate plan --agent claude --json'],
    load: () => import('../commands/plan.ts'),
  },
  'policy check': {
    group: 'Policy',
    summary: 'Check a policy file and its layers',
    usage: '[FILE]',
    options: [json],
    examples: ['casemate policy check', 'casemate policy check ./casemate.yaml'],
    load: () => import('../commands/policy-check.ts'),
  },
  'policy explain': {
    group: 'Policy',
    summary: 'Say which rule of which file decides about a destination',
    usage: 'HOST[:PORT] [METHOD PATH]',
    options: [policyFile, { name: 'agent', value: 'AGENT', about: 'decide as if this agent were used' }, json],
    examples: ['casemate policy explain api.anthropic.com', 'casemate policy explain example.com:8443 GET /v1/x'],
    load: () => import('../commands/policy-explain.ts'),
  },
  'policy schema': {
    group: 'Policy',
    summary: 'Print the JSON Schema of the policy file, for editors',
    usage: '',
    options: [json],
    examples: ['casemate policy schema > casemate.schema.json'],
    load: () => import('../commands/policy-schema.ts'),
  },
  'policy trust': {
    group: 'Policy',
    summary: 'Approve what the project policy asks for in its present content',
    usage: '[FILE]',
    options: [{ name: 'yes', about: 'approve without being asked' }, json],
    about:
      'A project file cannot grant itself anything: a person must approve each host it opens and each limit it ' +
      'raises, once, and again when the file changes.',
    examples: ['casemate policy trust'],
    load: () => import('../commands/policy-trust.ts'),
  },
};
