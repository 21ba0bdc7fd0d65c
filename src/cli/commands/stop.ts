import type { RunCommand } from '../command.ts';
import { changeState } from '../session/change-state.ts';

/** `casemate stop`. */
export const run: RunCommand = async (args, context, row) => await changeState('stop', row, { args, context });
