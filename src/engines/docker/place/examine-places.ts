import { toCasemateError } from '../../../base/errors.ts';
import { visible } from '../../../base/text.ts';
import type { EnginePlace } from '../../engine.ts';
import { dockerClient } from '../docker-client.ts';
import { fieldsOf, textOf } from '../read-json.ts';
import { addressOf } from './endpoint.ts';
import { chosenPlace, type Place } from './places.ts';

/** Every way in which the engine is looked for: what it names, and whether that answers now. */
export async function examinePlaces(
  places: readonly Place[],
  env: Readonly<Record<string, string>>,
): Promise<readonly EnginePlace[]> {
  const used = chosenPlace(places);
  return Promise.all(places.map(async (place) => examinePlace(place, { isUsed: place === used, env })));
}

interface Examining {
  readonly isUsed: boolean;
  readonly env: Readonly<Record<string, string>>;
}

const patienceMs = 10_000;

async function examinePlace({ strategy, found, unset }: Place, { isUsed, env }: Examining): Promise<EnginePlace> {
  if (found === undefined) {
    return { strategy, isUsed, available: false, detail: unset ?? 'not set' };
  }
  if (found instanceof Error) {
    return { strategy, isUsed, available: false, detail: found.message };
  }
  try {
    const client = dockerClient(async () => found, { env });
    const told = fieldsOf(await client.must('GET', '/version', { timeoutMs: patienceMs }));
    const version = visible(textOf(told['Version'])).slice(0, 40);
    return { strategy, isUsed, available: true, detail: `${addressOf(found)} answers, version ${version}` };
  } catch (error) {
    return { strategy, isUsed, available: false, detail: toCasemateError(error).message };
  }
}
