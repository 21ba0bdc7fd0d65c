import { CasemateError } from '../../../base/errors.ts';
import { formatBytes } from '../../../base/units.ts';
import type { EngineLimits } from '../../engine-limits.ts';
import type { DockerContext } from '../context.ts';
import { segment } from '../docker-client.ts';
import { labels } from '../labels.ts';
import { fieldsOf, rowsOf, textOf } from '../read-json.ts';

/**
 * How the containers next to a sandbox share what they may use together. Memory is assigned at the start of each and stays
 * assigned; processors and processes can be taken back at any time, so they are divided again among those that run.
 */
export interface Share {
  readonly id: string;
  readonly isRunning: boolean;
  readonly memoryBytes: number;
  readonly pids: number;
  readonly cpus: number;
}

/** All of them, by the labels they were made with. */
export async function sharesOf({ client, mark }: DockerContext, sandbox: string): Promise<readonly Share[]> {
  const label = [`${labels.engine}=${await mark()}`, `${labels.sandbox}=${sandbox}`, `${labels.part}=nested`];
  const rows = rowsOf(await client.must('GET', '/containers/json', { query: { all: true, filters: JSON.stringify({ label }) } }));
  return rows.map(fieldsOf).map((row) => {
    const [memoryBytes = 0, pids = 0, cpus = 0] = textOf(fieldsOf(row['Labels'])[labels.share]).split(' ').map(Number);
    const isRunning = !['created', 'exited', 'dead'].includes(textOf(row['State']));
    return { id: textOf(row['Id']), isRunning, memoryBytes, pids, cpus };
  });
}

export interface Demand {
  readonly id: string;
  readonly running: readonly Share[];
  readonly share: EngineLimits;
  /** of the machine */
  readonly processors: number;
}

/** Before a start. Throws `UNSUPPORTED` when too little memory is left. */
export async function requireShare(context: DockerContext, { id, running, share, processors }: Demand): Promise<void> {
  const own = await context.client
    .must('GET', `/containers/${segment(id)}/json`)
    .then((told) => fieldsOf(fieldsOf(told)['Config']));
  const [memoryBytes = 0, pids = 0, cpus = 0] = textOf(fieldsOf(own['Labels'])[labels.share]).split(' ').map(Number);
  const taken = running.reduce((sum, row) => sum + row.memoryBytes, 0);
  if (taken + memoryBytes > share.memoryBytes) {
    throw new CasemateError(
      'UNSUPPORTED',
      `it needs ${formatBytes(memoryBytes)} of memory, and the containers of this sandbox may have ${formatBytes(share.memoryBytes)} together, of which ${formatBytes(taken)} are taken`,
      { hint: 'Stop one that runs, or start it with less (--memory).' },
    );
  }
  const all = [...running, { id, memoryBytes, pids, cpus, isRunning: true }];
  const count = all.length;
  await Promise.all(
    all.map(async (row) => {
      const body = {
        NanoCpus: Math.max(1e7, Math.floor((Math.min(row.cpus, share.cpus / count, processors) * 1e9) / 1e7) * 1e7),
        PidsLimit: Math.max(1, Math.min(row.pids, Math.floor(share.pids / count))),
      };
      await context.client.must('POST', `/containers/${segment(row.id)}/update`, { body });
    }),
  );
}
