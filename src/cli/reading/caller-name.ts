import { CasemateError } from '../../base/errors.ts';
import { plainName } from '../../base/plain-name.ts';
import { visible } from '../../base/text.ts';

/** Reads the name of a caller as it was typed; `what` names the argument in errors. Throws `USAGE`. */
export function callerName(text: string, what: string): string {
  if (!plainName.test(text)) {
    throw new CasemateError('USAGE', `${what} "${visible(text)}" is not the name of a caller`, {
      hint: 'Use 1 to 63 lower-case letters, digits and hyphens, a letter first; for example: ci',
    });
  }
  return text;
}
