import type { AgentHost } from '../../agents/agent.ts';
import type { KnownAgent } from '../../agents/described/read-agents.ts';
import { isCasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';

/** Describes an agent to people and to programs: how it starts, what it reaches, what it finds. */

/** Safe to print. */
export function placeOf({ description }: KnownAgent): string {
  return description === undefined ? 'casemate' : `${description.describedBy}: ${visible(description.path)}`;
}

export function agentView(agent: KnownAgent) {
  const { name, title, program, recipe, provider, hosts, description } = agent;
  return {
    name,
    title,
    program,
    image: recipe,
    credential: provider ?? null,
    hosts,
    apis: Object.keys(agent.apis ?? {}),
    permissions: modes.filter((permissions) => commandOf(agent, permissions) !== undefined),
    tasks: commandFor(agent) !== undefined,
    description:
      description === undefined
        ? null
        : { describedBy: description.describedBy, path: description.path, sha256: description.sha256, ...description.written },
  };
}

export function agentFacts(agent: KnownAgent): readonly (readonly [string, string])[] {
  const { name, title, recipe, provider, hosts, classification } = agent;
  const words = (command: readonly string[] | undefined, otherwise: string): string =>
    command === undefined ? otherwise : visible(command.join(' '));
  return [
    ['agent', `${name} (${title})`],
    ['described by', placeOf(agent)],
    ['image', visible(recipe)],
    ['asks', words(commandOf(agent, 'ask'), 'it has no way to')],
    ['does not ask', words(commandOf(agent, 'skip'), 'it has no way to')],
    ['task', words(commandFor(agent), 'it has no way to work without a person')],
    ['credential', provider ?? 'none'],
    ...hosts.map((host) => ['reaches', hostWords(host)] as const),
    ...filesOf(agent).map((path) => ['finds', `~/${visible(path)}`] as const),
    ...classification.personal.map(({ path }) => ['your own', `~/${visible(path)}`] as const),
  ];
}

const modes = ['ask', 'skip'] as const;

function commandOf(agent: KnownAgent, permissions: 'ask' | 'skip'): readonly string[] | undefined {
  return unlessUnsupported(() => agent.start({ permissions, prompt: undefined, args: [] }));
}

function commandFor(agent: KnownAgent): readonly string[] | undefined {
  return modes
    .map((permissions) => unlessUnsupported(() => agent.print.command({ permissions, prompt: '{prompt}' })))
    .find((command) => command !== undefined);
}

function filesOf(agent: KnownAgent): readonly string[] {
  const setups = modes.map((permissions) =>
    unlessUnsupported(() => agent.homeFiles({ permissions, telemetry: false, phantom: undefined })),
  );
  return [...new Set(setups.flatMap((files) => (files ?? []).map(({ path }) => path)))];
}

function unlessUnsupported<T>(make: () => T): T | undefined {
  try {
    return make();
  } catch (error) {
    if (isCasemateError(error) && error.code === 'UNSUPPORTED') {
      return undefined;
    }
    throw error;
  }
}

function hostWords({ host, ports, credential, telemetry, http }: AgentHost): string {
  const only = http === undefined ? 'everything there' : `${http.length} ${http.length === 1 ? 'function' : 'functions'}`;
  const notes = [only, ...(credential ? ['with the credential'] : []), ...(telemetry ? ['where telemetry is on'] : [])];
  return `${visible(host)}:${ports.join(',')} (${notes.join(', ')})`;
}
