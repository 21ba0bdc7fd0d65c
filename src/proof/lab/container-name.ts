import { join } from 'node:path';

import { engineLayout } from '../../engines/oci/folders.ts';
import { containerOf, engineRecords } from '../../engines/records.ts';
import type { Lab, LabSandbox } from './lab.ts';

/**
 * The names of a sandbox's container and cgroups under `oci`: the container may have been made before its sandbox was requested.
 */
export async function containerName({ places }: Lab, { id }: Pick<LabSandbox, 'id'>): Promise<string> {
  const layout = engineLayout({ state: join(places.state, 'engine'), run: join(places.runtime, 'engine') });
  return containerOf(await engineRecords(layout.records).get(id));
}
