import { CasemateError } from '../../base/errors.ts';
import type { Agent, AgentSetup, HomeFile } from '../agent.ts';
import type { AgentPrint, AgentTask } from '../print.ts';
import { outputReader } from './output-reader.ts';
import type { WrittenAgent } from './schema.ts';

/** Turns a description into an agent: the same kind of row as the built-in agents, filled in from the description. */

type Permissions = 'ask' | 'skip';

/** `recipe` is a name or an absolute path: what is written there starts from the folder of the file. */
export function agentOf(written: WrittenAgent): Agent {
  const { name, title, program, image, credential } = written;
  return {
    name,
    title,
    program: program.startsWith('/') ? program : `/usr/local/bin/${program}`,
    recipe: image,
    start: ({ permissions, prompt, args }) => [
      program,
      ...modeOf(written, permissions).args,
      ...(prompt === undefined
        ? [...written.args, ...args]
        : filled(promptArguments(written), { prompt: shortPrompt(written, prompt) })),
    ],
    print: printOf(written),
    env: ({ permissions, telemetry }) => ({
      ...written.env,
      ...(telemetry ? {} : written.quiet),
      ...modeOf(written, permissions).env,
    }),
    homeFiles: (setup) => homeFiles(written, setup),
    classification: {
      personal: copiesAt(written, 'personal'),
      team: copiesAt(written, 'team'),
      service: copiesAt(written, 'service'),
      maximum: [],
    },
    provider: credential,
    hosts: written.hosts.map(({ allow, ...host }) => ({ ...host, http: allow })),
  };
}

/** Throws `UNSUPPORTED`: a mode it has no way to be in is never another one in silence. */
function modeOf({ title, permissions }: WrittenAgent, wanted: Permissions): NonNullable<WrittenAgent['permissions']['ask']> {
  const mode = permissions[wanted];
  if (mode === undefined) {
    const why = wanted === 'ask' ? 'ask before it acts' : 'act without asking';
    throw new CasemateError('UNSUPPORTED', `${title} has no way to ${why}, and the policy wants it to (agent.permissions)`, {
      hint:
        wanted === 'ask' ? 'Say --skip-permissions, or agent.permissions: skip in the policy.' : 'Use agent.permissions: ask.',
    });
  }
  return mode;
}

/** The kernel takes no longer argument (MAX_ARG_STRLEN is 131,072 bytes). */
const maxPromptBytes = 120_000;

function shortPrompt({ title }: WrittenAgent, prompt: string): string {
  if (Buffer.byteLength(prompt) > maxPromptBytes) {
    throw new CasemateError('UNSUPPORTED', `${title} takes its task as an argument, and this one is longer than one may be`, {
      hint: `Put the long part into a file of the workspace; ${maxPromptBytes} bytes are the most.`,
    });
  }
  return prompt;
}

function promptArguments({ title, prompt }: WrittenAgent): readonly string[] {
  if (prompt === undefined) {
    throw new CasemateError('UNSUPPORTED', `${title} takes no prompt as an argument`, { hint: 'Start it without one.' });
  }
  return prompt;
}

function filled(args: readonly string[], values: Readonly<Record<string, string>>): readonly string[] {
  return Object.entries(values).reduce<readonly string[]>(
    // A function: what a value holds must not be read as a pattern.
    (list, [name, value]) => list.map((text) => text.replace(`{${name}}`, () => value)),
    args,
  );
}

function homeFiles(written: WrittenAgent, { permissions, phantom = '' }: AgentSetup): readonly HomeFile[] {
  return [...written.files, ...modeOf(written, permissions).files].map(({ path, content }) => ({
    path,
    content: content.replaceAll('{phantom}', () => phantom),
    mode: 0o600,
  }));
}

function copiesAt({ copies }: WrittenAgent, level: 'personal' | 'team' | 'service') {
  return copies.filter(({ levels }) => levels.includes(level)).map(({ path, kind }) => ({ path, kind, filter: 'none' }) as const);
}

function printOf(written: WrittenAgent): AgentPrint {
  const { title, task } = written;
  const need = (): NonNullable<WrittenAgent['task']> => {
    if (task === undefined) {
      throw new CasemateError('UNSUPPORTED', `${title} has no way to work without a person`, {
        hint: 'Its description has no "task"; use execute_command.',
      });
    }
    return task;
  };
  return {
    takesMcpFile: task?.servers !== undefined,
    takesPrompt: task?.input ?? 'stdin',
    command: (asked) => taskCommand(written, need(), asked),
    reader: () => outputReader(need().output),
  };
}

function taskCommand(written: WrittenAgent, task: NonNullable<WrittenAgent['task']>, asked: AgentTask): readonly string[] {
  const { tools, model, maxBudgetUsd, resume, mcpFile } = asked;
  const given = (name: string, option: readonly string[] | undefined, value: string | undefined): readonly string[] => {
    if (value === undefined) {
      return [];
    }
    if (option === undefined) {
      throw new CasemateError('UNSUPPORTED', `${name} cannot be honoured: ${written.title} has no such option`, {
        hint: 'Leave it out. The policy of the host can bound what is spent (budgets) and what is reached.',
      });
    }
    return filled(option, { value });
  };
  const options = [
    ...given('model', task.model, model),
    ...given('tools', task.tools, tools?.join(',')),
    ...given('maxBudgetUsd', task.budget, maxBudgetUsd === undefined ? undefined : String(maxBudgetUsd)),
    ...given('resume', task.resume, resume),
    ...given('mcpConfig', task.servers, mcpFile),
  ];
  // Behind "--" nothing is an option any more, so what a caller chose stands before it.
  const end = task.args.indexOf('--');
  const [before, after] = end < 0 ? [task.args, []] : [task.args.slice(0, end), task.args.slice(end)];
  const args = [...before, ...options, ...after];
  return [
    written.program,
    ...modeOf(written, asked.permissions).args,
    ...(task.input === 'argument' ? filled(args, { prompt: shortPrompt(written, asked.prompt ?? '') }) : args),
  ];
}
