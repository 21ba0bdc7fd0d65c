/** Prompts for common work, for clients that offer them to their users. */
export interface Prompt {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly arguments: readonly { readonly name: string; readonly description: string; readonly required: boolean }[];
  readonly text: (given: Readonly<Record<string, string>>) => string;
}

const project = { name: 'projectPath', description: 'absolute path of the project folder', required: true };

export const prompts: readonly Prompt[] = [
  {
    name: 'work_in_sandbox',
    title: 'Work on a task in a sandbox',
    description: 'Give a task to an agent in a sandbox of its own, and report what came of it',
    arguments: [project, { name: 'task', description: 'what is to be done', required: true }],
    text: ({ projectPath = '', task = '' }) =>
      `Use the tools of casemate. Make a session for ${projectPath} with create_session. Give it this task with execute_in_session:\n\n${task}\n\n` +
      'Look at filesChanged, run the tests of the project with execute_command, and tell me what was done, what it cost and what is left. ' +
      'Where something was denied, say what list_denied_requests shows; do not look for a way around it. Destroy the session at the end.',
  },
  {
    name: 'try_in_sandbox',
    title: 'Try something untrusted',
    description: 'Run commands of a project that nobody has looked at, and see what they reach for',
    arguments: [project, { name: 'command', description: 'for example npm ci', required: true }],
    text: ({ projectPath = '', command = '' }) =>
      `Use the tools of casemate. Make a session for ${projectPath} with create_session, agent "none", readonly true. Run this with execute_command, in a copy of the project where it writes there (cp -r /workspace /home/agent/copy):\n\n${command}\n\n` +
      'Then read get_events and list_denied_requests, and tell me what it did, what it tried to reach and whether anything of that looks wrong. Destroy the session at the end.',
  },
  {
    name: 'work_side_by_side',
    title: 'Several projects side by side',
    description: 'One sandbox for each of several projects, the same task in all of them at once',
    arguments: [
      { name: 'projectPaths', description: 'absolute paths, separated by commas', required: true },
      { name: 'task', description: 'what is to be done in each', required: true },
    ],
    text: ({ projectPaths = '', task = '' }) =>
      `Use the tools of casemate. Make a session with create_session for each of: ${projectPaths}. Start this task in all of them with start_task:\n\n${task}\n\n` +
      'Follow them with wait_for_execution, and give me a table of results, files changed and costs. Destroy the sessions at the end.',
  },
];
