/** What the engine wrote down of its containers: under which name one runs, and which one waits for a sandbox to come. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Container {
  /** the sandbox it is of, or, of one that waits, its own */
  readonly id: string;
  /** its name at the runtime, and of its groups */
  readonly name: string;
  readonly waits: boolean;
}

/** `state` is the folder of the state file. A record that is just being replaced is left out. */
export function readContainers(state: string): readonly Container[] {
  const folder = join(state, 'engine/sandboxes');
  return namesIn(folder)
    .filter((name) => /^[\w-]+\.json$/.test(name))
    .flatMap((name) => {
      try {
        const { spec, container, ready } = JSON.parse(readFileSync(join(folder, name), 'utf8'));
        return [{ id: spec.id, name: container ?? spec.id, waits: ready === true }];
      } catch {
        return [];
      }
    });
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
