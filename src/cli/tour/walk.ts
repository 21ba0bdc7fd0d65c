import { createHash, randomBytes } from 'node:crypto';
import { readFile, readdir, stat } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { createInterface } from 'node:readline';
import { PassThrough } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

import { claude } from '../../agents/claude.ts';
import { visible } from '../../base/text.ts';
import type { Client } from '../../daemon/client.ts';
import { journalPlace } from '../../journal/journal-place.ts';
import { listSegments } from '../../journal/segments.ts';
import { queryJournal } from '../../journal/query.ts';
import { verifyJournal } from '../../journal/verify-journal.ts';
import { stepsOf } from '../../tour/agent-steps.ts';
import {
  emptyReport,
  joinReports,
  searchFolder,
  searchProcess,
  type Needle,
  type SearchReport,
} from '../../proof/outside/key-search.ts';
import { attach } from '../session/attach.ts';
import type { CommandContext } from '../command.ts';
import { dim } from '../printing/output.ts';
import { ownIdentity } from '../session/session.ts';
import { task, type TourStage } from './stage.ts';

/** The tour itself: start, test, let the agent work while its memory is searched, test again, remove, sum up. */

export interface TourFindings {
  readonly testsBefore: number;
  readonly testsAfter: number;
  readonly changed: readonly string[];
  readonly reached: readonly string[];
  readonly refused: readonly string[];
  readonly keyOnTheWire: boolean;
  readonly keyUses: number;
  readonly search: {
    readonly processes: number;
    readonly mebibytes: number;
    readonly phantomSeen: number;
    readonly keySeen: readonly string[];
  };
  readonly journal: { readonly valid: boolean; readonly records: number; readonly fault: string | undefined };
}

export interface WalkParts {
  readonly client: Client;
  readonly stage: TourStage;
  readonly say: (text: string) => void;
  readonly waive: readonly string[];
  readonly runtime: string | undefined;
}

export async function walk(context: CommandContext, parts: WalkParts): Promise<TourFindings> {
  const { client, stage, say, waive, runtime } = parts;
  const name = `tour-${randomBytes(3).toString('hex')}`;
  const request = { cwd: stage.workspace, workspace: stage.workspace, userPolicyFolder: stage.policyFolder, waive, runtime };
  const { id } = await client.call('create', { ...request, name });
  try {
    await client.call('start', { name });
    say(dim(context.stdout, `sandbox: ${name} (${id})`));
    const before = await hashTree(stage.workspace);
    const testsBefore = await runInside(context, parts, { name, command: ['node', '--test'], show: false });
    say(`\ntests before: ${testsBefore === 0 ? 'green' : 'red, as they should be'}; now the agent works:\n`);
    const search = await searchWhile(parts, name, async () => {
      const command = claude.start({ permissions: 'skip', prompt: task, args: ['--output-format', 'stream-json', '--verbose'] });
      await runInside(context, parts, { name, command, show: true });
    });
    const testsAfter = await runInside(context, parts, { name, command: ['node', '--test'], show: false });
    const network = await networkRecords(context, id);
    const changed = changedFiles(before, await hashTree(stage.workspace));
    return { testsBefore, testsAfter, changed, search, ...network, journal: await journalState(context) };
  } finally {
    await client.call('destroy', { name });
  }
}

interface Inside {
  readonly name: string;
  readonly command: readonly string[];
  readonly show: boolean;
}

async function runInside(context: CommandContext, { client, say }: WalkParts, { name, command, show }: Inside): Promise<number> {
  const opened = await client.call('exec', {
    name,
    command,
    cwd: undefined,
    env: {},
    tty: false,
    timeoutMs: 300_000,
    client: await ownIdentity(),
  });
  const output = new PassThrough();
  const shown = showLines(output, show ? (line) => say(`  ${dim(context.stdout, '│')} ${visible(line)}`) : () => undefined);
  const exitCode = await attach(opened.invocation, {
    tty: false,
    logFile: opened.logFile,
    stdout: output,
    stderr: output,
    input: 'none',
  });
  await client.call('close', { executionId: opened.executionId, exitCode });
  output.end();
  await shown;
  return exitCode;
}

/** Each step of the agent as it happens. */
async function showLines(output: PassThrough, show: (line: string) => void): Promise<void> {
  for await (const line of createInterface({ input: output })) {
    stepsOf(line).forEach(show);
  }
}

/** Looks for the key again and again while the agent works, from outside; the phantom is the proof that looking works. */
async function searchWhile(
  { client, stage }: WalkParts,
  name: string,
  work: () => Promise<void>,
): Promise<TourFindings['search']> {
  const { phantoms } = await client.call('inspect', { name });
  const needles: readonly Needle[] = [{ name: 'key', text: stage.key }, ...phantoms.map((text) => ({ name: 'phantom', text }))];
  let report: SearchReport = emptyReport(needles);
  const processes = new Set<number>();
  const ended = new AbortController();
  const searching = (async () => {
    while (!ended.signal.aborted) {
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
  })();
  await work().finally(() => ended.abort());
  await searching;
  const root = await rootInside((await client.call('processes', { name })).pids);
  const inside = root === undefined ? [] : ['home/agent', 'tmp', 'run', 'var/tmp', 'etc'].map((folder) => `${root}/${folder}`);
  for (const folder of inside) {
    // oxlint-disable-next-line no-await-in-loop -- one folder after the other
    report = joinReports(report, await searchFolder(folder, needles));
  }
  report = joinReports(report, await searchFolder(stage.workspace, needles));
  const { seen, bytes } = report;
  return {
    processes: processes.size,
    mebibytes: Math.round(bytes / 1024 / 1024),
    phantomSeen: seen['phantom']?.length ?? 0,
    keySeen: seen['key'] ?? [],
  };
}

/** Files as the sandbox sees them, through the first of its processes that does; links are not followed. */
async function rootInside(pids: readonly number[]): Promise<string | undefined> {
  for (const pid of pids) {
    const root = `/proc/${pid}/root`;
    // oxlint-disable-next-line no-await-in-loop -- the first that has them
    if ((await stat(`${root}/home/agent`).catch(() => undefined)) !== undefined) {
      return root;
    }
  }
  return undefined;
}

async function hashTree(root: string): Promise<ReadonlyMap<string, string>> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const hashes = files.map(
    async (path) =>
      [
        relative(root, path),
        createHash('sha256')
          .update(await readFile(path))
          .digest('hex'),
      ] as const,
  );
  return new Map(await Promise.all(hashes));
}

function changedFiles(before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): readonly string[] {
  const names = new Set([...before.keys(), ...after.keys()]);
  return [...names].filter((name) => before.get(name) !== after.get(name)).toSorted();
}

type Network = Pick<TourFindings, 'reached' | 'refused' | 'keyOnTheWire' | 'keyUses'>;

async function networkRecords({ paths }: CommandContext, sandbox: string): Promise<Network> {
  const reached = new Set<string>();
  const refused = new Set<string>();
  let keyUses = 0;
  const segments = await listSegments(journalPlace(paths).folder);
  for await (const { record } of queryJournal(segments, { filters: { sandboxes: new Set([sandbox]), action: 'net.' } })) {
    (record.decision === 'allow' ? reached : refused).add(record.subject);
    keyUses += record.action === 'net.exchange' && record.credential !== undefined ? 1 : 0;
  }
  return { reached: [...reached], refused: [...refused], keyOnTheWire: keyUses > 0, keyUses };
}

async function journalState({ paths }: CommandContext): Promise<TourFindings['journal']> {
  const { folder, witnessPath } = journalPlace(paths);
  const { valid, records, fault } = await verifyJournal(folder, { witnessPath });
  return { valid, records, fault: fault?.why };
}
