import type { DockerContext } from '../context.ts';
import { segment } from '../docker-client.ts';
import { labels } from '../labels.ts';
import { fieldsOf, rowsOf, textOf } from '../read-json.ts';

/** Removes the images and volumes that a sandbox had made. They are found by our labels, and checked again before removal. */

export async function removeNestedLeftovers(context: DockerContext, sandbox: string): Promise<void> {
  await removeOwnVolumes(context, sandbox);
  // One that others are made from goes after them.
  for (let left = await ownImages(context, sandbox), before = Infinity; left.length > 0 && left.length < before;) {
    before = left.length;
    for (const image of left) {
      // oxlint-disable-next-line no-await-in-loop -- as above
      await context.client.call('DELETE', `/images/${segment(image)}`, { query: { force: true } });
    }
    // oxlint-disable-next-line no-await-in-loop -- as above
    left = await ownImages(context, sandbox);
  }
}

/** Newest first; `all`: also those that others are made from. */
export async function ownImages(
  { client, mark }: DockerContext,
  sandbox: string,
  { all }: { readonly all: boolean } = { all: true },
): Promise<readonly string[]> {
  const own = await ownFilter(mark, sandbox);
  const rows = rowsOf(
    await client.must('GET', '/images/json', { query: { all, filters: JSON.stringify({ label: own.filter }) } }),
  );
  return rows
    .map(fieldsOf)
    .filter((row) => own.isOwn(row['Labels']))
    .map((row) => textOf(row['Id']));
}

/** Those of containers that are gone; with `unused`, those that run keep theirs. */
export async function removeOwnVolumes({ client, mark }: DockerContext, sandbox: string, unused = false): Promise<void> {
  const own = await ownFilter(mark, sandbox);
  const filters = JSON.stringify({ label: own.filter, ...(unused ? { dangling: ['true'] } : {}) });
  const told = fieldsOf(await client.must('GET', '/volumes', { query: { filters } }));
  const names = rowsOf(told['Volumes'])
    .map(fieldsOf)
    .filter((row) => own.isOwn(row['Labels']))
    .map((row) => textOf(row['Name']));
  await Promise.all(names.map(async (name) => client.call('DELETE', `/volumes/${segment(name)}`)));
}

async function ownFilter(mark: DockerContext['mark'], sandbox: string) {
  const engine = await mark();
  return {
    filter: [`${labels.engine}=${engine}`, `${labels.sandbox}=${sandbox}`],
    isOwn(told: unknown): boolean {
      const found = fieldsOf(told);
      return found[labels.engine] === engine && found[labels.sandbox] === sandbox;
    },
  };
}
