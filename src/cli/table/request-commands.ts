import type { CommandTable } from '../command.ts';
import { json } from './shared-options.ts';

/** The commands by which a person answers what sandboxes were denied, as rows of the command table. */

export const requestCommands: CommandTable = {
  requests: {
    group: 'Requests',
    summary: 'List what sandboxes were denied and a person may still allow',
    usage: '[--follow]',
    options: [
      { name: 'follow', short: 'f', about: 'keep running until interrupted; meanwhile denied requests wait for an answer' },
      json,
    ],
    about:
      'While somebody follows, a denied request waits, by default for 60 s, before it is refused (policy key asks). ' +
      'Otherwise it is refused at once and listed here for an hour. Nothing inside a sandbox can see or answer this ' +
      'list.',
    examples: ['casemate requests', 'casemate requests --follow'],
    load: () => import('../commands/requests.ts'),
  },
  approve: {
    group: 'Requests',
    summary: 'Allow a denied request: once, for the life of its sandbox, or in your policy',
    usage: 'ID [--once|--sandbox|--policy]',
    options: [
      { name: 'once', about: 'only the waiting request (the default while it waits)' },
      { name: 'sandbox', about: 'the same method and path until the sandbox is destroyed (the default if none waits)' },
      { name: 'policy', about: 'also in your own policy file, for every sandbox from now on' },
      { name: 'allow', value: 'FUNCTION', repeats: true, about: 'allow this instead, e.g. "GET /v1/**"' },
      { name: 'whole-host', about: 'allow everything at that host and port' },
      { name: 'yes', about: 'do not ask; for your own scripts' },
      json,
    ],
    about:
      'Shows the exact request and what would be allowed, and asks at the terminal. It never goes beyond the ' +
      "organisation's policy. Any program that runs as you outside a sandbox can run this, too: do not give your " +
      'shell to an unconfined agent.',
    examples: [
      'casemate approve ask-4f7k9qzm2xwe',
      'casemate approve ask-4f7k9qzm2xwe --sandbox --allow "GET /v1/**"',
      'casemate approve ask-4f7k9qzm2xwe --once --yes',
    ],
    load: () => import('../commands/approve.ts'),
  },
  deny: {
    group: 'Requests',
    summary: 'Refuse a waiting request, and do not ask again for a while',
    usage: 'ID [--sandbox]',
    options: [{ name: 'sandbox', about: 'do not ask again during the life of this sandbox' }, json],
    examples: ['casemate deny ask-4f7k9qzm2xwe', 'casemate deny ask-4f7k9qzm2xwe --sandbox'],
    load: () => import('../commands/deny.ts'),
  },
  'policy propose': {
    group: 'Policy',
    summary: 'Propose the smallest rules that would allow what was denied',
    usage: 'HOST[:PORT]|--from-journal SANDBOX|--request ID [OPTION...]',
    options: [
      { name: 'from-journal', value: 'SANDBOX', about: 'everything this sandbox was denied, according to the journal' },
      { name: 'request', value: 'ID', about: 'one denied request, by its id in casemate requests' },
      { name: 'method', value: 'METHOD', about: 'with --path: only this method and path of HOST' },
      { name: 'path', value: 'PATH', about: 'with --method: only this method and path of HOST' },
      { name: 'write', value: 'user|project', about: 'add the rules to that policy file, after you confirm' },
      { name: 'yes', about: 'write without being asked' },
      { name: 'policy', value: 'FILE', about: 'project policy to use instead of the casemate.yaml in this folder or above' },
      { name: 'agent', value: 'AGENT', about: 'decide as if this agent were used' },
      json,
    ],
    about:
      'Prints YAML, and in words what it would allow. Hosts are named one by one; ids in paths, and a segment in ' +
      'which eight or more paths differ, become *. With --write, all layers are first read together with the new ' +
      'rules: nothing is written that would have no effect or take away what is allowed now.',
    examples: [
      'casemate policy propose api.example.com --method GET --path /v1/models',
      'casemate policy propose --from-journal work',
      'casemate policy propose --request ask-4f7k9qzm2xwe --write user',
    ],
    load: () => import('../commands/policy-propose.ts'),
  },
  learn: {
    group: 'Policy',
    summary: 'Run a command with nothing real at risk and write the smallest policy that would have allowed it',
    usage: '[OPTION...] [-- COMMAND ARG...]',
    options: [
      { name: 'write', value: 'user|project', about: 'add the rules to that policy file, after you confirm' },
      { name: 'yes', about: 'write without being asked' },
      { name: 'closed', about: 'let nothing leave the host, not even reads' },
      { name: 'writes', about: 'also send requests that write, with their content' },
      {
        name: 'as-allowed',
        about: 'send what the policy already allows, with its credentials; for agents that need a login',
      },
      { name: 'policy', value: 'FILE', about: 'project policy to use instead of the casemate.yaml in this folder or above' },
      { name: 'agent', value: 'AGENT', about: 'agent to use: claude, codex' },
      { name: 'image', value: 'RECIPE', about: "image recipe (default: the agent's, else base)" },
      { name: 'workspace', value: 'PATH', about: "folder to copy and work in (default: the policy's, else here)" },
      { name: 'prompt', short: 'p', value: 'TEXT', about: 'give the agent one task instead of a session' },
      { name: 'timeout', value: 'TIME', about: 'end after this long, e.g. 90s or 2h' },
      { name: 'waive', value: 'LAYER', repeats: true, about: 'accept that this host lacks a protection layer' },
      { name: 'trust', about: 'approve what the project policy asks for, for its present content' },
      json,
    ],
    about:
      'The command works in a copy of the workspace without files that look like secrets, and without any credential. ' +
      'GET and HEAD requests to public hosts are sent without content and in limited amount; every other request is ' +
      'noted down and answered with 202. Paths and queries can still carry data out: do not learn in a folder whose ' +
      "content those servers must not see, or use --closed. What the organisation's policy does not allow is not sent " +
      'here either.',
    examples: [
      'casemate learn -- npm install',
      'casemate learn --closed -- ./build.sh',
      'casemate learn --write project -- npm ci',
    ],
    load: () => import('../commands/learn.ts'),
  },
};
