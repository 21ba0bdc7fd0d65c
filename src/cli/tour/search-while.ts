import { stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

import type { Client } from '../../daemon/client.ts';
import {
  emptyReport,
  joinReports,
  searchFolder,
  searchProcess,
  type Needle,
  type SearchReport,
} from '../../proof/outside/key-search.ts';

/** Looks for the key from outside while the agent works, and where it could be left afterwards. */
export interface KeySearch {
  readonly processes: number;
  readonly mebibytes: number;
  /** the proof that looking works */
  readonly phantomSeen: number;
  readonly keySeen: readonly string[];
}

export interface Searched {
  readonly client: Client;
  /** of the sandbox */
  readonly name: string;
  readonly key: string;
  readonly workspace: string;
}

export async function searchWhile(searched: Searched, work: () => Promise<void>): Promise<KeySearch> {
  const { client, name, key, workspace } = searched;
  const { phantoms } = await client.call('inspect', { name });
  const needles: readonly Needle[] = [{ name: 'key', text: key }, ...phantoms.map((text) => ({ name: 'phantom', text }))];
  const ended = new AbortController();
  const searching = searchProcesses(searched, needles, ended.signal);
  await work().finally(() => ended.abort());
  const { report: inMemory, processes } = await searching;
  const left = await foldersInside((await client.call('processes', { name })).pids);
  const { seen, bytes } = await searchFolders(inMemory, needles, [...left, workspace]);
  return {
    processes,
    mebibytes: Math.round(bytes / 1024 / 1024),
    phantomSeen: seen['phantom']?.length ?? 0,
    keySeen: seen['key'] ?? [],
  };
}

/** The memory of every process inside, again and again. */
async function searchProcesses({ client, name }: Searched, needles: readonly Needle[], ended: AbortSignal) {
  let report: SearchReport = emptyReport(needles);
  const processes = new Set<number>();
  while (!ended.aborted) {
    // oxlint-disable-next-line no-await-in-loop -- one look after the other
    const { pids } = await client.call('processes', { name });
    for (const pid of pids) {
      // oxlint-disable-next-line no-await-in-loop -- as above
      report = joinReports(report, await searchProcess(pid, needles));
      processes.add(pid);
    }
    // oxlint-disable-next-line no-await-in-loop -- as above
    await sleep(300);
  }
  return { report, processes: processes.size };
}

async function searchFolders(
  before: SearchReport,
  needles: readonly Needle[],
  folders: readonly string[],
): Promise<SearchReport> {
  let report = before;
  for (const folder of folders) {
    // oxlint-disable-next-line no-await-in-loop -- one folder after the other
    report = joinReports(report, await searchFolder(folder, needles));
  }
  return report;
}

/** As the sandbox sees them, through the first of its processes that does; links are not followed. */
async function foldersInside(pids: readonly number[]): Promise<readonly string[]> {
  for (const pid of pids) {
    const root = `/proc/${pid}/root`;
    // oxlint-disable-next-line no-await-in-loop -- the first that has them
    if ((await stat(`${root}/home/agent`).catch(() => undefined)) !== undefined) {
      return ['home/agent', 'tmp', 'run', 'var/tmp', 'etc'].map((folder) => `${root}/${folder}`);
    }
  }
  return [];
}
