import { createHash } from 'node:crypto';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { readTextIfPresent } from '../../system/files.ts';
import { messageOf, segment, type DockerClient } from './docker-client.ts';
import { engineFacts } from './engine-facts.ts';
import { imageLabel, ownRepository } from './import-image.ts';
import { fieldsOf, rowsOf, textOf, type Fields } from './read-json.ts';

/**
 * Removes an engine's copies of one of our images together with the image. A copy is known by our label, or by the id that was
 * written down when it was made; a copy that someone else has named stays.
 */
export interface Copies {
  readonly client: DockerClient;
  /** where the ids are written down */
  readonly folder: string;
}

/** `digest`: `sha256:…` of the image. A line for each copy: what became of it. Nothing is asked of an engine that has none. */
export async function removeCopies(digest: string, { client, folder }: Copies): Promise<readonly string[]> {
  if (!(await hasCopies(digest, folder))) {
    return [];
  }
  const hex = digest.replace('sha256:', '');
  const { id: engineId } = await engineFacts(client);
  const file = join(folder, `${createHash('sha256').update(engineId).digest('hex').slice(0, 16)}-${hex}`);
  const filters = JSON.stringify({ label: [`${imageLabel}=${digest}`] });
  const labelled = rowsOf(await client.must('GET', '/images/json', { query: { filters } })).map((row) =>
    textOf(fieldsOf(row)['Id']),
  );
  const noted = (await readTextIfPresent(file))?.trim() ?? '';
  const ids = new Set([...labelled, noted].filter((id) => /^sha256:[0-9a-f]{64}$/.test(id)));
  const said: string[] = [];
  for (const id of ids) {
    // oxlint-disable-next-line no-await-in-loop -- one or two
    said.push(...(await removeCopy(client, id, digest)));
  }
  // One of another engine is removed with that.
  await rm(file, { force: true });
  return said;
}

/** Whether one is noted, of whichever engine. */
export async function hasCopies(digest: string, folder: string): Promise<boolean> {
  const notes = await readdir(folder).catch((): string[] => []);
  return notes.some((name) => name.endsWith(`-${digest.replace('sha256:', '')}`));
}

async function removeCopy(client: DockerClient, id: string, digest: string): Promise<readonly string[]> {
  const told = await client.call('GET', `/images/${segment(id)}/json`);
  const image = fieldsOf(told.body);
  if (told.status !== 200 || !isOurs(image, digest)) {
    return [];
  }
  const names = rowsOf(image['RepoTags']).map(textOf);
  const foreign = names.filter((name) => !isOwnName(name));
  const short = id.slice(7, 19);
  if (foreign.length > 0) {
    return [`the copy ${short} in the engine stays: it is ${foreign.slice(0, 3).join(', ')}, too`];
  }
  // By its last name it goes as a whole; one without any goes by its id.
  for (const name of names.length === 0 ? [id] : names) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const { status, body } = await client.call('DELETE', `/images/${segment(name)}`);
    if (status !== 200 && status !== 404) {
      return [`the copy ${short} in the engine stays: ${messageOf(body)}`];
    }
  }
  return [`removed its copy ${short} in the engine`];
}

/** Podman puts a registry before it that was never asked. */
function isOwnName(name: string): boolean {
  return ['', 'docker.io/', 'localhost/'].some((registry) => name.startsWith(`${registry}${ownRepository}:`));
}

/** Looked at again: what is removed must be what was made here, whatever the engine made of the filter. */
function isOurs(image: Fields, digest: string): boolean {
  const label = fieldsOf(fieldsOf(image['Config'])['Labels'])[imageLabel];
  return label === digest || textOf(image['Comment']) === `casemate ${digest}`;
}
