import { CasemateError } from '../../base/errors.ts';
import { canonicalPath } from '../matching/canonical-path.ts';
import type { HttpAllowance } from '../policy.ts';

/** Reads one allowed function of a host: `GET,HEAD /v1/**`, or a path alone, which allows every method. */

export type AllowanceReading = { readonly allowance: HttpAllowance } | { readonly fault: string };

const written = /^(?:(\S+) +)?(\/\S*)$/;
const methodName = /^[A-Z][A-Z-]*$/;

export function readAllowance(text: string): AllowanceReading {
  const match = written.exec(text);
  const path = match?.[2];
  if (path === undefined || text.length > 512) {
    return { fault: 'is not a function of a host; write a path, or methods and a path: "GET,POST /v1/**"' };
  }
  const methods = match?.[1]?.split(',');
  if (methods?.every((method) => methodName.test(method)) === false) {
    return { fault: 'has a method that is none; methods are capital letters with commas between: "GET,POST /v1/**"' };
  }
  const glob = canonicalGlob(path);
  return glob === undefined
    ? { fault: 'has a path that no request can have: no query, "//", ".", "..", "\\", escaped slash or "***" belongs in it' }
    : { allowance: { methods: methods === undefined ? undefined : [...new Set(methods)].toSorted(), path: glob } };
}

/** As a person gives it with `--allow`. Throws `USAGE`. */
export function allowOption(text: string): HttpAllowance {
  const reading = readAllowance(text);
  if ('fault' in reading) {
    throw new CasemateError('USAGE', `--allow ${reading.fault}`);
  }
  return reading.allowance;
}

/** The glob with its literal parts in the same canonical form as the paths it will meet. */
function canonicalGlob(path: string): string | undefined {
  return path.includes('?') || path.includes('***') ? undefined : canonicalPath(path);
}
