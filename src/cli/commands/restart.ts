import type { RunCommand } from '../command.ts';
import { changeState } from '../session/change-state.ts';

/** `casemate restart`. */
export const run: RunCommand = async (args, context, row) => await changeState('restart', row, { args, context });
