import { createHash, randomBytes } from 'node:crypto';
import { readFile, readdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { createInterface } from 'node:readline';
import { PassThrough } from 'node:stream';

import { claude } from '../../agents/claude.ts';
import { visible } from '../../base/text.ts';
import type { Client } from '../../daemon/client.ts';
import { journalPlace } from '../../journal/journal-place.ts';
import { listSegments } from '../../journal/segments.ts';
import { queryJournal } from '../../journal/query.ts';
import { verifyJournal } from '../../journal/verify-journal.ts';
import { stepsOf } from '../../tour/agent-steps.ts';
import { attach } from '../session/attach.ts';
import type { CommandContext } from '../command.ts';
import { dim } from '../printing/output.ts';
import { ownIdentity } from '../session/session.ts';
import { searchWhile, type KeySearch } from './search-while.ts';
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
  readonly search: KeySearch;
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
    const search = await searchWhile({ client, name, key: stage.key, workspace: stage.workspace }, async () => {
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
