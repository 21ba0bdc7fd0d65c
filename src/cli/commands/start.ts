import type { RunCommand } from '../command.ts';
import { changeState } from '../session/change-state.ts';

/** `casemate start`. */
export const run: RunCommand = async (args, context, row) => await changeState('start', row, { args, context });
