import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { lstat, open, type FileHandle } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';

import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import { maxBytes } from '../../policy/written/read-yaml.ts';
import { isErrno } from '../../system/files.ts';
import { ownNames } from '../../system/own-files.ts';
import type { Agent } from '../agent.ts';
import { agents, isAgentName } from '../agents.ts';
import { agentOf } from './agent-of.ts';
import { parseAgent } from './parse-agent.ts';
import type { WrittenAgent } from './schema.ts';

/**
 * Agents that files describe, in addition to the built-in ones. These files decide where credentials go, so they are read only
 * from the organisation's folder and the user's own, never from a project. A file there that someone else can change is refused.
 */

export interface AgentDescription {
  readonly written: WrittenAgent;
  readonly describedBy: 'organisation' | 'user';
  readonly path: string;
  /** of the bytes that were read, hex */
  readonly sha256: string;
}

export type KnownAgent = Agent & {
  /** absent: it is of this program */
  readonly description?: AgentDescription | undefined;
  readonly describedBy?: AgentDescription['describedBy'] | undefined;
};

export type KnownAgents = Readonly<Record<string, KnownAgent>>;

export interface AgentFolders {
  /** absolute path of the organisation's policy: its agents lie beside it */
  readonly organisation: string;
  /** absolute folder of the user's policy */
  readonly config: string;
}

const maxFiles = 64;

/** Throws `AGENT_INVALID` for a file that cannot be read, is not well formed, or takes a name that is taken. */
export async function readAgents(folders: AgentFolders, uid: number): Promise<KnownAgents> {
  const found = [
    ...(await readFolder(join(dirname(folders.organisation), 'agents'), 'organisation', 0)),
    ...(await readFolder(join(folders.config, 'agents'), 'user', uid)),
  ];
  const known = new Map<string, KnownAgent>(Object.entries(agents));
  for (const description of found) {
    const { name } = description.written;
    const first = known.get(name);
    if (first !== undefined) {
      const whose = first.description === undefined ? 'is of this program' : `is described by ${visible(first.description.path)}`;
      throw invalid(description.path, `there is an agent "${name}" already: it ${whose}`, 'Give this one another name.');
    }
    known.set(name, describedAgent(description));
  }
  return Object.fromEntries(known);
}

/** A relative recipe starts from the folder of the file. */
export function describedAgent(description: AgentDescription): KnownAgent {
  const { written, describedBy, path } = description;
  const image = /\/|\.ya?ml$/.test(written.image) ? resolve(dirname(path), written.image) : written.image;
  return { ...agentOf({ ...written, image }), description, describedBy };
}

/** For `agent check`: any file, judged as one of the user's. */
export async function readAgentFile(path: string, uid: number): Promise<AgentDescription> {
  const description = await readDescription(path, 'user', uid);
  if (isAgentName(description.written.name)) {
    throw invalid(
      path,
      `there is an agent "${description.written.name}" already: it is of this program`,
      'Give it another name.',
    );
  }
  return description;
}

async function readFolder(
  folder: string,
  describedBy: AgentDescription['describedBy'],
  uid: number,
): Promise<readonly AgentDescription[]> {
  const names = namesIn(folder);
  if (names === undefined) {
    return [];
  }
  const why = changeableBy(await lstat(folder), uid);
  if (why !== undefined) {
    throw invalid(folder, `the folder ${why}`, `An agent says where credentials go. Run: chmod go-w ${visible(folder)}`);
  }
  const files = names.filter((name) => isDescriptionName(name)).toSorted();
  if (files.length > maxFiles) {
    throw invalid(folder, `there are more than ${maxFiles} agents`);
  }
  return await Promise.all(files.map(async (name) => await readNamed(join(folder, name), describedBy, uid)));
}

function namesIn(folder: string): readonly string[] | undefined {
  try {
    return ownNames(folder);
  } catch (error) {
    throw invalid(folder, 'the folder cannot be read', undefined, error);
  }
}

/** A recipe may lie beside it: `opencode.recipe.yaml`. */
function isDescriptionName(name: string): boolean {
  return /\.(?:ya?ml|json)$/.test(name) && !/\.recipe\.ya?ml$/.test(name);
}

async function readNamed(path: string, describedBy: AgentDescription['describedBy'], uid: number): Promise<AgentDescription> {
  const description = await readDescription(path, describedBy, uid);
  const { name } = description.written;
  if (!['yaml', 'yml', 'json'].some((ending) => path.endsWith(`/${name}.${ending}`))) {
    throw invalid(path, `it describes the agent "${name}"`, `Name the file ${name}.yaml.`);
  }
  return description;
}

async function readDescription(
  path: string,
  describedBy: AgentDescription['describedBy'],
  uid: number,
): Promise<AgentDescription> {
  const bytes = await readBytes(path, uid);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  return { written: parseAgent({ source: path, text: decode(bytes, path) }), describedBy, path, sha256 };
}

async function readBytes(path: string, uid: number): Promise<Uint8Array> {
  const file = await openPlain(path);
  try {
    const stats = await file.stat();
    const why = !stats.isFile()
      ? 'is not a regular file'
      : stats.size > maxBytes
        ? `is larger than ${maxBytes / 1024} KiB`
        : changeableBy(stats, uid);
    if (why !== undefined) {
      throw invalid(path, `the file ${why}`, `Nothing starts on what others may change. Run: chmod go-w ${visible(path)}`);
    }
    const buffer = Buffer.alloc(maxBytes + 1);
    const { bytesRead } = await file.read(buffer, 0, buffer.length, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

/** No link is followed, no pipe waited for. */
async function openPlain(path: string): Promise<FileHandle> {
  try {
    return await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
  } catch (error) {
    const why = isErrno(error, 'ELOOP')
      ? 'is a symbolic link'
      : isErrno(error, 'ENOENT')
        ? 'does not exist'
        : `cannot be read (${error instanceof Error && 'code' in error ? String(error.code) : 'unknown fault'})`;
    throw invalid(path, `the file ${why}`, undefined, error);
  }
}

function changeableBy({ uid: owner, mode }: { readonly uid: number; readonly mode: number }, uid: number): string | undefined {
  if (owner !== 0 && owner !== uid) {
    return `belongs to user ${owner}, not to root${uid === 0 ? '' : ' or you'}`;
  }
  return (mode & 0o022) === 0 ? undefined : 'can be changed by others';
}

function decode(bytes: Uint8Array, path: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    throw invalid(path, 'the file is not UTF-8 text', undefined, error);
  }
}

function invalid(path: string, what: string, hint?: string, cause?: unknown): CasemateError {
  return new CasemateError('AGENT_INVALID', `${visible(path)}: ${what}`, { hint, cause });
}
