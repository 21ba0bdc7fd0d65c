import { join } from 'node:path';

import { engineLayout } from '../../engines/oci/folders.ts';
import { containerOf, engineRecords } from '../../engines/records.ts';
import type { Lab, LabSandbox } from './lab.ts';

/** What the runtime and the groups of a sandbox of `oci` are called: it may have been made before its sandbox was asked for. */
export async function containerName({ places }: Lab, { id }: Pick<LabSandbox, 'id'>): Promise<string> {
  const layout = engineLayout({ state: join(places.state, 'engine'), run: join(places.runtime, 'engine') });
  return containerOf(await engineRecords(layout.records).get(id));
}
