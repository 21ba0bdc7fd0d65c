import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import { snapshotIdPattern } from '../../sandbox/host-files/snapshots.ts';

/** Reads the id of a snapshot of sandbox `name` as it was typed. Throws `USAGE`. */
export function snapshotId(text: string, name: string): string {
  if (!snapshotIdPattern.test(text)) {
    throw new CasemateError('USAGE', `"${visible(text)}" is not the id of a snapshot`, {
      hint: `An id looks like sn-0123456789abcdef. Run: casemate snapshot ls ${visible(name)}`,
    });
  }
  return text;
}
