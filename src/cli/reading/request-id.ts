import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';

/** Reads the id of a denied request as it was typed. Throws `USAGE`. */
export function requestId(text = ''): string {
  if (!/^ask-[a-z0-9]{12}$/.test(text)) {
    throw new CasemateError('USAGE', `"${visible(text)}" is not the id of a request`, {
      hint: 'An id looks like ask-4f7k9qzm2xwe. Run: casemate requests',
    });
  }
  return text;
}
