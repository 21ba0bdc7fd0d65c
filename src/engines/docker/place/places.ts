import { toCasemateError, type CasemateError } from '../../../base/errors.ts';
import type { EngineChoice } from '../../engine-choice.ts';
import { addressOf, type Endpoint } from './endpoint.ts';

/**
 * How an engine was looked for: strategies in order of precedence, each with what it found. The first that names an engine
 * decides; a person who named an engine never gets another one instead.
 */
export interface Place {
  /** e.g. `DOCKER_HOST`, `context lab` */
  readonly strategy: string;
  /** `undefined`: it names nothing, because of `unset` */
  readonly found: Endpoint | CasemateError | undefined;
  readonly unset?: string | undefined;
}

export function named(strategy: string, find: () => Endpoint): Place {
  try {
    return { strategy, found: find() };
  } catch (error) {
    return { strategy, found: toCasemateError(error) };
  }
}

export function unnamed(strategy: string, unset: string): Place {
  return { strategy, found: undefined, unset };
}

/** Throws what the first one that names an engine has against it. */
export function chosen(places: readonly Place[]): Endpoint {
  const found = chosenPlace(places)?.found;
  if (found === undefined || found instanceof Error) {
    throw found ?? new Error('no strategy names an engine');
  }
  return found;
}

export function chosenPlace(places: readonly Place[]): Place | undefined {
  return places.find(({ found }) => found !== undefined);
}

/** Pure. */
export function choiceIn(places: readonly Place[]): EngineChoice {
  const { strategy = 'nothing', found } = chosenPlace(places) ?? {};
  const address = found === undefined || found instanceof Error ? toCasemateError(found).message : addressOf(found);
  const key = found === undefined || found instanceof Error ? address : JSON.stringify(found);
  return { isNamed: !strategy.startsWith('socket '), strategy, address, key };
}
