import type { RunCommand } from '../command.ts';
import { commands } from '../commands.ts';
import { changeState } from '../session/change-state.ts';

/** `casemate start`. */
export const run: RunCommand = async (args, context) =>
  await changeState('start', commands['start'] ?? { options: [] }, { args, context });
