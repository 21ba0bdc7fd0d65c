import type { CasemateError } from '../../base/errors.ts';
import { faultAt, formatOrigin } from '../written/policy-layer.ts';
import type { Origin } from '../origin.ts';

/** The one error for a layer that allows more than a layer above it. It names both places. */
export function widens(lower: Origin, higher: Origin, what: string): CasemateError {
  return faultAt('POLICY_WIDENS', lower, `${what} ${formatOrigin(higher)} allows`, {
    hint: 'A lower layer may only narrow. Change it here, or let the owner of the other file allow it.',
  });
}
