import type { RunCommand } from '../command.ts';
import { commands } from '../commands.ts';
import { changeState } from '../session/change-state.ts';

/** `casemate restart`. */
export const run: RunCommand = async (args, context) =>
  await changeState('restart', commands['restart'] ?? { options: [] }, { args, context });
