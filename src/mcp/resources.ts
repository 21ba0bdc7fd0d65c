import { isUtf8 } from 'node:buffer';
import { posix } from 'node:path';

import { CasemateError, isCasemateError } from '../base/errors.ts';
import { gather } from '../base/gather.ts';
import { visible, visibleJson } from '../base/text.ts';
import { askOnce } from '../daemon/ask-once.ts';
import { journalPlace } from '../journal/journal-place.ts';
import { newestEvents } from '../sandbox/recorded/sandbox-events.ts';
import { openCommand, runCommand } from './run-command.ts';
import type { ToolContext } from './tool-context.ts';

/** What of a session can be read by its URI: its journal, and files as a process inside sees them. */

export interface ResourceContent {
  readonly uri: string;
  readonly mimeType: string;
  readonly text?: string;
  /** base64 */
  readonly blob?: string;
}

const pattern = /^casemate:\/\/sessions\/([a-z0-9-]{1,64})\/(journal|files\/(.+))$/;
const maxFileBytes = 1024 * 1024;
const journalRecords = 500;

export const resourceTemplates = [
  {
    name: 'session-journal',
    uriTemplate: 'casemate://sessions/{sessionId}/journal',
    description: `The last ${journalRecords} records of the journal about a session, a line of JSON each`,
    mimeType: 'application/x-ndjson',
  },
  {
    name: 'session-file',
    uriTemplate: 'casemate://sessions/{sessionId}/files/{path}',
    description: 'A file in the workspace of a session, of 1 MiB at most',
  },
] as const;

/** The journal of each session. */
export async function listResources({ connect }: ToolContext) {
  return (await askOnce(connect, 'ls', {})).map(({ id, name }) => ({
    uri: `casemate://sessions/${id}/journal`,
    name: `journal of ${name}`,
    mimeType: 'application/x-ndjson',
  }));
}

/** Throws `USAGE` for an address that is none of ours, `SANDBOX_NOT_FOUND` for a session that is not the caller's. */
export async function readResource(uri: string, context: ToolContext): Promise<ResourceContent> {
  const [, session, kind, path] = pattern.exec(uri) ?? [];
  if (session === undefined || kind === undefined) {
    throw new CasemateError('USAGE', `there is no resource ${visible(uri.slice(0, 200))}`);
  }
  return kind === 'journal'
    ? await journalOf(uri, session, context)
    : await fileOf({ uri, session, path: decoded(path) }, context);
}

async function journalOf(uri: string, session: string, { connect, host }: ToolContext): Promise<ResourceContent> {
  const { sandbox, companions } = await askOnce(connect, 'inspect', { name: session });
  const sandboxes = [sandbox.id, ...companions.map(({ id }) => id)];
  const records = await newestEvents(journalPlace(host.paths).folder, { sandboxes, limit: journalRecords });
  const lines = records.map((record) => visibleJson(record));
  return { uri, mimeType: 'application/x-ndjson', text: lines.map((line) => `${line}\n`).join('') };
}

function decoded(path = ''): string {
  try {
    const text = decodeURIComponent(path);
    if (!text.includes('\0') && text.length <= 4096) {
      return belowWorkspace(text);
    }
  } catch (error) {
    if (isCasemateError(error)) {
      throw error;
    }
    // Said below.
  }
  throw new CasemateError('USAGE', 'the path of the resource is not well formed');
}

/** What lies elsewhere inside is there by other tools: an address says where it is. */
function belowWorkspace(path: string): string {
  const place = posix.join('/workspace', path);
  if (path.startsWith('/') || !place.startsWith('/workspace/')) {
    throw new CasemateError('PATH_INVALID', `${visible(path).slice(0, 200)} does not lie in the workspace`, {
      hint: 'Use transfer_files or execute_command.',
    });
  }
  return place;
}

async function fileOf(
  { uri, session, path }: { readonly uri: string; readonly session: string; readonly path: string },
  context: ToolContext,
): Promise<ResourceContent> {
  const held = gather();
  const command = ['/usr/bin/head', '-c', String(maxFileBytes + 1), '--', path];
  const open = await openCommand(context, { name: session, command, timeoutMs: 30_000 });
  const { exitCode, stderr } = await runCommand(context, open, {
    maxOutputBytes: 1024,
    quiet: true,
    // What others inside write to its output is output, too.
    onOutput: (piece) => (held.size() > maxFileBytes ? undefined : held.add(piece)),
  });
  const bytes = held.take();
  if (exitCode !== 0) {
    throw new CasemateError('PATH_INVALID', `the file cannot be read: ${visible(stderr.trim()).slice(0, 300)}`);
  }
  if (bytes.length > maxFileBytes) {
    throw new CasemateError('PATH_INVALID', 'the file is larger than 1 MiB', { hint: 'Use transfer_files.' });
  }
  return isUtf8(bytes)
    ? { uri, mimeType: 'text/plain', text: bytes.toString('utf8') }
    : { uri, mimeType: 'application/octet-stream', blob: bytes.toString('base64') };
}
