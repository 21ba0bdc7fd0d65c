import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { lstat, open, realpath, type FileHandle } from 'node:fs/promises';
import { dirname, isAbsolute, join, resolve } from 'node:path';

import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import { commandLineLayer, type CommandLinePolicy } from '../../policy/written/command-line-layer.ts';
import { registryKinds, type Facts, type RegistryKind } from '../../policy/facts.ts';
import { parsePolicy } from '../../policy/written/parse.ts';
import { faultAt, originOf, type PolicyLayer } from '../../policy/written/policy-layer.ts';
import type { Policy } from '../../policy/policy.ts';
import type { Share } from '../../policy/share.ts';
import { maxBytes } from '../../policy/written/read-yaml.ts';
import { resolveCredentials, type KnownCredentials } from '../../policy/layers/resolve-credentials.ts';
import { isLabRule } from '../../policy/layers/lab-hosts.ts';
import { resolvePolicy } from '../../policy/layers/resolve-policy.ts';
import { resolveShare } from '../../policy/layers/resolve-share.ts';
import { isWithin } from '../../policy/layers/resolve-scalars.ts';
import { isErrno } from '../../system/files.ts';
import { mayBeThere } from '../../system/own-files.ts';
import type { Paths } from '../../system/paths.ts';

/** Finds, reads and resolves the policy files that apply to a folder. A missing file is not a fault; an unreadable one is. */

export interface PolicyRequest {
  readonly paths: Pick<Paths, 'organisation' | 'config'>;
  /** absolute; the project policy is looked for from here */
  readonly cwd: string;
  /** absolute; taken as the project policy instead of one that is found */
  readonly explicitFile?: string | undefined;
  /** absolute; taken as the user's policy instead of the one in `paths.config`. It must be there */
  readonly userFile?: string | undefined;
  readonly commandLine?: CommandLinePolicy | undefined;
  /** texts taken instead of what is in the files of these absolute paths: a change before it is written */
  readonly instead?: ReadonlyMap<string, string> | undefined;
  /** of a lab: its user's policy may name its hosts, whatever the organisation allows */
  readonly isLab?: boolean | undefined;
  /** Called once, with the registries that some layer's presets need. */
  readonly facts: (registries: readonly RegistryKind[]) => Promise<Facts>;
}

export interface LoadedPolicy {
  readonly policy: Policy;
  /** What organisation and user let all sandboxes together take, by the same reading of the same files. Throws as that does. */
  readonly share: () => Share;
  /** in the order of the layers; `sha256` of the bytes that were read, hex */
  readonly files: readonly LoadedFile[];
}

export interface LoadedFile {
  readonly layer: PolicyLayer['kind'];
  readonly path: string;
  readonly sha256: string;
}

type Instead = PolicyRequest['instead'];

interface Read {
  readonly file: LoadedFile;
  readonly layer: PolicyLayer;
}

export const projectFileName = 'casemate.yaml';

/** Throws `POLICY_INVALID`, `POLICY_WIDENS` and, for options, `USAGE`. */
export async function loadPolicy(request: PolicyRequest): Promise<LoadedPolicy> {
  const { paths, cwd, explicitFile, userFile, commandLine, instead, isLab, facts } = request;
  const organisation = await readLayer('organisation', paths.organisation, { workspaceFolder: cwd });
  const user = await readLayer('user', userFile ?? join(paths.config, 'policy.yaml'), { workspaceFolder: cwd, instead });
  if (userFile !== undefined && user === undefined) {
    throw missingFile(userFile);
  }
  const project =
    explicitFile === undefined ? await findProject(cwd, instead) : await readExplicit(explicitFile, { cwd, instead });
  const options = commandLine === undefined ? undefined : commandLineLayer(commandLine, cwd);
  const read = [organisation, user, project].filter((layer) => layer !== undefined);
  const layers = { organisation: organisation?.layer, user: user?.layer, project: project?.layer, commandLine: options };
  const presets = new Set(Object.values(layers).flatMap((layer) => layer?.written.presets ?? []));
  const known = await facts(registryKinds.filter((kind) => presets.has(kind)));
  const policy = resolvePolicy(layers, known, { folder: cwd, isUnbound: isLab === true ? isLabRule : undefined });
  if (project !== undefined) {
    await refuseLinksOut(policy, project.layer);
  }
  const share = (): Share => resolveShare({ organisation: organisation?.layer, user: user?.layer });
  return { policy, share, files: read.map(({ file }) => file) };
}

/** The credentials that exist by themselves and those that the organisation and the user define, by name. */
export async function loadCredentials({
  paths,
  cwd,
  facts,
}: Pick<PolicyRequest, 'paths' | 'cwd' | 'facts'>): Promise<KnownCredentials> {
  const organisation = await readLayer('organisation', paths.organisation, { workspaceFolder: cwd });
  const user = await readLayer('user', join(paths.config, 'policy.yaml'), { workspaceFolder: cwd });
  const layers = { organisation: organisation?.layer, user: user?.layer, project: undefined, commandLine: undefined };
  return resolveCredentials(layers, await facts(registryKinds));
}

/** What organisation and user let all sandboxes together take. */
export async function loadShare(paths: PolicyRequest['paths']): Promise<Share> {
  const at = { workspaceFolder: paths.config };
  const organisation = await readLayer('organisation', paths.organisation, at);
  const user = await readLayer('user', join(paths.config, 'policy.yaml'), at);
  return resolveShare({ organisation: organisation?.layer, user: user?.layer });
}

/** A relative path without `..` can still leave the project: by a link that came with it. */
async function refuseLinksOut({ workspace, image, origins }: Policy, layer: PolicyLayer): Promise<void> {
  const paths = [
    { key: ['workspace', 'path'], path: workspace.path, folder: layer.workspaceFolder, what: 'workspace' },
    { key: ['image'], path: image, folder: layer.folder, what: 'recipe' },
  ];
  for (const { key, path, folder, what } of paths) {
    if (origins[key.join('.')]?.layer === 'project' && isAbsolute(path)) {
      // oxlint-disable-next-line no-await-in-loop -- two at most, and the first fault is the one to report
      const [real, within] = await Promise.all([realpath(path).catch(() => path), realpath(folder)]);
      if (!isWithin(real, within)) {
        throw faultAt(
          'POLICY_INVALID',
          originOf(layer, key),
          `a project file must not name a ${what} that links outside its folder: ${visible(path)}`,
          {
            hint: 'Name the real folder or file on the command line, where you mean it.',
          },
        );
      }
    }
  }
}

async function readExplicit(path: string, { cwd, instead }: { readonly cwd: string; readonly instead: Instead }): Promise<Read> {
  const read = await readLayer('project', resolve(cwd, path), { workspaceFolder: cwd, instead });
  if (read === undefined) {
    throw missingFile(path);
  }
  return read;
}

function missingFile(path: string): CasemateError {
  return new CasemateError('POLICY_INVALID', `${visible(path)}: there is no such file`, {
    hint: 'Name a policy file that exists.',
  });
}

/**
 * `casemate.yaml` of the folder itself, else of the nearest folder above it up to the one that holds `.git`. Outside any
 * repository only the folder itself counts: what lies above it, in /tmp say, may be somebody else's.
 */
async function findProject(cwd: string, instead: Instead): Promise<Read | undefined> {
  for (const folder of await foldersUpToRepository(cwd)) {
    // oxlint-disable-next-line no-await-in-loop -- the nearest file decides
    const read = await readLayer('project', join(folder, projectFileName), { workspaceFolder: folder, instead });
    if (read !== undefined) {
      return read;
    }
  }
  return undefined;
}

async function foldersUpToRepository(cwd: string): Promise<readonly string[]> {
  const folders: string[] = [];
  for (let folder = resolve(cwd); ; folder = dirname(folder)) {
    folders.push(folder);
    // oxlint-disable-next-line no-await-in-loop -- upwards, one by one
    if (await exists(join(folder, '.git'))) {
      return folders;
    }
    if (dirname(folder) === folder) {
      return folders.slice(0, 1);
    }
  }
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}

async function readLayer(
  kind: 'organisation' | 'user' | 'project',
  path: string,
  { workspaceFolder, instead }: { readonly workspaceFolder: string; readonly instead?: Instead },
): Promise<Read | undefined> {
  const text = instead?.get(path);
  const bytes = text === undefined ? await readPolicyFile(kind, path) : Buffer.from(text);
  if (bytes === undefined) {
    await refuseOtherEnding(kind, path);
    return undefined;
  }
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const layer = parsedOnce(`${kind} ${sha256} ${JSON.stringify([path, workspaceFolder])}`, () =>
    parsePolicy({ kind, source: path, folder: dirname(path), workspaceFolder, text: decode(bytes, path) }),
  );
  return { layer, file: { layer: kind, path, sha256 } };
}

/** By all that the answer depends on. A start reads the same files four times, and to parse one takes longer than all its fsyncs. */
const parsed = new Map<string, PolicyLayer>();
const greatestParsed = 64;

function parsedOnce(key: string, parse: () => PolicyLayer): PolicyLayer {
  const known = parsed.get(key) ?? parse();
  // The last that was asked for goes last.
  parsed.delete(key);
  parsed.set(key, known);
  for (const oldest of [...parsed.keys()].slice(0, parsed.size - greatestParsed)) {
    parsed.delete(oldest);
  }
  return known;
}

/** Somebody wrote a policy and believes that it holds. */
async function refuseOtherEnding(kind: PolicyLayer['kind'], path: string): Promise<void> {
  const other = path.replace(/\.yaml$/, '.yml');
  if (other !== path && (kind === 'project' ? await exists(other) : mayBeThere(other))) {
    throw new CasemateError('POLICY_INVALID', `${visible(other)}: a policy file of this name is not read`, {
      hint: `Name it ${visible(path)}.`,
    });
  }
}

function decode(bytes: Uint8Array, path: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    throw new CasemateError('POLICY_INVALID', `${visible(path)}: the file is not UTF-8 text`, { cause: error });
  }
}

/** A project's file comes from strangers: no link is followed and no pipe waited for. The user's own may be a link. */
async function readPolicyFile(kind: PolicyLayer['kind'], path: string): Promise<Uint8Array | undefined> {
  if (kind !== 'project' && !mayBeThere(path)) {
    return undefined;
  }
  const link = kind === 'project' ? constants.O_NOFOLLOW : 0;
  let file: FileHandle;
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | link);
  } catch (error) {
    const isMissing = isErrno(error, 'ENOENT') || isErrno(error, 'ENOTDIR');
    // A link that leads nowhere is not "no policy": somebody meant one to be here.
    if (isMissing && !(await exists(path))) {
      return undefined;
    }
    const why =
      kind === 'project' && isErrno(error, 'ELOOP')
        ? 'is a symbolic link, which a project policy must not be'
        : `cannot be read (${codeOf(error)})`;
    throw new CasemateError('POLICY_INVALID', `${visible(path)}: the file ${why}`, {
      cause: error,
      hint: 'Nothing starts on a policy that cannot be read.',
    });
  }
  try {
    return await readWhole(file, kind, path);
  } finally {
    await file.close();
  }
}

async function readWhole(file: FileHandle, kind: PolicyLayer['kind'], path: string): Promise<Uint8Array> {
  const stats = await file.stat();
  const why = !stats.isFile()
    ? 'is not a regular file'
    : stats.size > maxBytes
      ? `is larger than ${maxBytes / 1024} KiB`
      : kind !== 'project' && (stats.mode & 0o002) !== 0
        ? 'can be changed by anybody'
        : undefined;
  if (why !== undefined) {
    throw new CasemateError('POLICY_INVALID', `${visible(path)}: the file ${why}`, {
      hint: 'Nothing starts on a policy that cannot be trusted.',
    });
  }
  const buffer = Buffer.alloc(maxBytes + 1);
  const { bytesRead } = await file.read(buffer, 0, buffer.length, 0);
  return buffer.subarray(0, bytesRead);
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown fault';
}
