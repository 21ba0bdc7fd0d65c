import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import { covers } from '../../policy/matching/host-pattern.ts';
import { readHostPattern } from '../../policy/matching/parse-host-pattern.ts';
import { policyProviders } from '../../policy/providers.ts';
import { parseFile, type FileText } from '../../policy/written/parse-file.ts';
import { positionOf, type ValuePath } from '../../policy/written/policy-layer.ts';
import { agentKeysAt, agentSchema, type WrittenAgent } from './schema.ts';

/** Parses and judges a file that describes an agent. It refuses what cannot work, and what would send a credential elsewhere. */

interface Fault {
  readonly path: ValuePath;
  readonly what: string;
  readonly hint?: string | undefined;
}

/** Throws `AGENT_INVALID` with path, line and column. YAML; JSON is YAML, too. */
export function parseAgent(file: FileText): WrittenAgent {
  const form = { schema: agentSchema, keysAt: agentKeysAt, code: 'AGENT_INVALID', what: 'description of an agent' } as const;
  const { value, positions } = parseFile(file, form);
  const fault = faultOf(value);
  if (fault !== undefined) {
    const { line, column } = positionOf(positions, fault.path);
    throw new CasemateError('AGENT_INVALID', `${visible(file.source)}:${line}:${column}: ${fault.what}`, { hint: fault.hint });
  }
  return value;
}

function faultOf(agent: WrittenAgent): Fault | undefined {
  const { permissions, prompt } = agent;
  if (permissions.ask === undefined && permissions.skip === undefined) {
    return {
      path: ['permissions'],
      what: 'permissions says neither how it asks nor how it does not',
      hint: 'Write permissions: { skip: {} } for one that never asks.',
    };
  }
  return (prompt === undefined ? undefined : promptFault(prompt, ['prompt'])) ?? taskFault(agent) ?? credentialFault(agent);
}

function taskFault({ task }: WrittenAgent): Fault | undefined {
  if (task?.input === 'argument') {
    return promptFault(task.args, ['task', 'args']);
  }
  return task?.args.some((text) => text.includes('{prompt}')) === true
    ? { path: ['task', 'args'], what: '{prompt} stands there, but the task is handed in on standard input' }
    : undefined;
}

/** A task is somebody's text: where it could begin with a dash it would be an option of the agent's. */
function promptFault(args: readonly string[], path: ValuePath): Fault | undefined {
  const places = args.flatMap((text, index) => (text.includes('{prompt}') ? [{ text, index }] : []));
  const [place] = places;
  if (place === undefined || places.length > 1 || place.text.split('{prompt}').length !== 2) {
    return { path, what: '{prompt} must stand there once' };
  }
  const isBehindDashes = place.text === '{prompt}' && args[place.index - 1] === '--' && place.index === args.length - 1;
  return isBehindDashes || /^--[A-Za-z0-9][A-Za-z0-9-]*=\{prompt\}$/.test(place.text)
    ? undefined
    : {
        path: [...path, place.index],
        what: 'a prompt that begins with a dash would be an option of the agent there',
        hint: 'Write it last, behind "--", or as one argument: --prompt={prompt}.',
      };
}

/** The key of a known API goes to that API and nowhere else: a description is copied from strangers sooner than a policy is. */
function credentialFault({ credential, hosts }: WrittenAgent): Fault | undefined {
  const index = hosts.findIndex((host) => host.credential);
  if (credential === undefined) {
    return index < 0
      ? undefined
      : {
          path: ['hosts', index, 'credential'],
          what: 'the agent has no credential that could go there',
          hint: 'Write "credential".',
        };
  }
  const provider = Object.hasOwn(policyProviders, credential) ? policyProviders[credential] : undefined;
  if (provider?.login !== undefined) {
    return { path: ['credential'], what: `"${credential}" is the login of another agent` };
  }
  const stray = hosts.findIndex((host) => host.credential && provider !== undefined && !isWithin(host.host, provider.hosts));
  return stray < 0
    ? undefined
    : {
        path: ['hosts', stray, 'host'],
        what: `the credential "${credential}" does not go to ${visible(hosts[stray]?.host ?? '')}`,
        hint: `It may go to ${provider?.hosts.join(', ') ?? ''}. Another host must be bound to it in your own policy file.`,
      };
}

function isWithin(host: string, allowed: readonly string[]): boolean {
  const inner = readHostPattern(host);
  return allowed.some((text) => {
    const outer = readHostPattern(text);
    return 'pattern' in outer && 'pattern' in inner && covers(outer.pattern, inner.pattern);
  });
}
