import type { RunCommand } from '../command.ts';
import { commands } from '../commands.ts';
import { changeState } from '../session/change-state.ts';

/** `casemate stop`. */
export const run: RunCommand = async (args, context) =>
  await changeState('stop', commands['stop'] ?? { options: [] }, { args, context });
