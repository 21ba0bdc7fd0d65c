import type { Secret } from './credential.ts';

/** Wraps a secret text so that no log, error, template or JSON shows it. Only `reveal()` returns it. */

const shown = '[secret]';
const inspected = Symbol.for('nodejs.util.inspect.custom');

export function secret(value: string): Secret {
  // The value lives in a closure: no property holds it, so no serialiser or debugger dump of the object finds it.
  return Object.freeze({
    reveal: () => value,
    toString: () => shown,
    toJSON: () => shown,
    [Symbol.toPrimitive]: () => shown,
    [inspected]: () => shown,
  });
}
