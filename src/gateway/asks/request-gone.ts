import { CasemateError } from '../../base/errors.ts';

/** For whoever answers a request that nobody can answer any more. */
export function requestGone(id: string): CasemateError {
  return new CasemateError('REQUEST_GONE', `no request ${id} can be answered`, {
    hint: `It was answered, it is too old, its sandbox has ended, or its rules changed, which gives it another id. For later ones: casemate policy propose --request ${id}`,
  });
}
