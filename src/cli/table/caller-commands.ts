import type { CommandTable } from '../command.ts';

/** The rows of the command table about agents and programs that drive sandboxes. */
export const callerCommands: CommandTable = {
  mcp: {
    group: 'Agents and programs',
    summary: 'Serve sandboxes to an agent over the Model Context Protocol',
    usage: '[--root PATH...] [--caller NAME]',
    options: [
      { name: 'root', value: 'PATH', repeats: true, about: 'folder below which projects may lie (default: here)' },
      { name: 'caller', value: 'NAME', about: 'whose sessions these are; each name sees its own alone (default: mcp)' },
    ],
    about:
      'For clients that start a server themselves, such as Claude Code. It speaks over standard input and output until the client goes; sessions stay. ' +
      'A caller makes, uses and removes its own sandboxes within its roots, and can only ask for less than the policy gives: approving, trusting, credentials, waivers are not among its tools.',
    examples: ['casemate mcp --root ~/projects', 'claude mcp add casemate -- casemate mcp --root ~/projects'],
    load: () => import('../commands/mcp.ts'),
  },
};
