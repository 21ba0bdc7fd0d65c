import { chmod, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { cleanupStack } from '../../base/cleanup.ts';
import { CasemateError } from '../../base/errors.ts';
import { parseSandboxId } from '../../base/ids.ts';
import { visible } from '../../base/text.ts';
import { dataFile } from '../../system/data-file.ts';
import { privateFolder } from '../../system/files.ts';
import { giveTree } from '../../system/give-tree.ts';
import { run } from '../../system/process.ts';
import type { ProcessIdentity } from '../../system/process-identity.ts';
import type { Abortable, SandboxSpec } from '../engine.ts';
import { makeHome } from '../home-folder.ts';
import { agentId } from '../oci/ids.ts';
import { line } from '../oci/stage-plan.ts';
import { waitUntil } from '../processes.ts';
import type { EngineRecord } from '../records.ts';
import { requireHost } from '../require-layers.ts';
import { claimNames, releaseNames } from '../workspace/claim-names.ts';
import { coverFiles } from '../workspace/cover-files.ts';
import type { Protection } from '../workspace/protect.ts';
import { mountsIn, requireMounts } from '../workspace/protections.ts';
import { askedFor, keepAskedFor } from './asked-for.ts';
import { sandboxBody, sandboxMounts } from './container-bodies.ts';
import { makeContainer, ownContainers, startContainer, type OwnContainer } from './containers.ts';
import { firstProcess, runningSandbox } from './first-process.ts';
import type { DockerContext } from './context.ts';
import { kernelOf } from './kernel/kernel-of.ts';
import { examine } from './context.ts';
import { layersOf, requireKnownIds } from './examine.ts';
import { bodyFacts } from './body-facts.ts';
import { imageOf } from './image-of.ts';
import { runInside } from './inside.ts';
import { limitPools } from './limit-pools.ts';
import { removeLeftFile, requireSharedFiles } from './kernel/shared-files.ts';
import { makeKeeper, requireAsAsked } from './make-keeper.ts';
import { fieldsOf } from './read-json.ts';
import { fillKeepers, forgetReady, passKeeper, takeKeeper, uplinkFolder } from './ready-keeper.ts';
import { containerNames, removeContainers } from './remove-containers.ts';
import { restrictMounts } from './restrict-mounts.ts';
import { requireSamePlaces } from './same-places.ts';

/**
 * From nothing to a running sandbox and back. The record is written before the first effect and removed after the last, and the
 * labels of the containers say whose they are, so whatever a kill leaves behind is found.
 */

/** Whose files the workspace has: the ids of every command inside. */
export interface SandboxUser {
  readonly uid: number;
  readonly gid: number;
}

export async function createSandbox(context: DockerContext, spec: SandboxSpec, { signal }: Abortable): Promise<void> {
  parseSandboxId(spec.id);
  const facts = await context.facts();
  const { isElsewhere } = await context.way();
  requireKnownIds(facts);
  if (isElsewhere && spec.containers !== undefined) {
    throw new CasemateError(
      'UNSUPPORTED',
      'containers inside (docker: run) need an engine on this kernel: folders are held for them here',
      {
        hint: 'Leave `docker` out of the policy, or use an engine on this machine.',
      },
    );
  }
  const known = layersOf(facts, spec.runtime);
  await requireHost(known, spec, () => examine(context, spec.runtime, { signal }));
  const undo = cleanupStack();
  try {
    signal?.throwIfAborted();
    const base: EngineRecord = { version: 1, spec, slot: undefined, protections: [], placeholders: [] };
    await context.records.add(base);
    // Not before: a record that was there already is another sandbox's.
    undo.add('remove the sandbox', () => forget(context, spec.id));
    await make(context, base, { signal });
  } catch (error) {
    // Why it could not be made is what helps. What is left of it is listed, and goes when it is removed.
    await undo.run().catch(() => undefined);
    throw error;
  }
}

/** The keeper runs, the sandbox is there and does not. */
async function make(context: DockerContext, base: EngineRecord, { signal }: Abortable): Promise<void> {
  const { spec } = base;
  const user = await userOf(spec);
  const image = await imageOf(context, spec, { signal });
  const facts = await bodyFacts(context, spec, image);
  const folder = context.sandbox(spec.id);
  await rm(folder.folder, { recursive: true, force: true });
  await privateFolder(context.options.folders.run);
  await privateFolder(folder.executions);
  await privateFolder(folder.shown);
  const ready = await takeKeeper(context, image);
  // One that was made ahead is found by this record alone.
  const { protections } = await claimNames(context, { ...base, container: ready?.id });
  await (ready === undefined ? uplinkFolder(context, spec.id) : passKeeper(context, ready, spec.id));
  await makePlaceholders(context, spec, { user, protections });
  await makeHome(spec.home);
  await ownHome(spec, user);
  const ownFiles = await accountFiles(context, spec, await agentOf(context, spec));
  const covers = await coverFiles(context.covers);
  signal?.throwIfAborted();
  const [sandboxName] = containerNames(spec.id);
  const keeperId = ready?.container ?? (await makeKeeper(context, spec, image));
  signal?.throwIfAborted();
  const mounts = sandboxMounts(spec, { protections, covers, ownFiles });
  const body = sandboxBody(facts, { keeper: keeperId, mounts });
  await keepAskedFor(folder.askedFor, { body, mounts });
  await makeContainer(context, sandboxName, body);
}

/** Without mapped mounts the agent must have the id that owns the files: never the host's root. */
export async function userOf({ workspace }: SandboxSpec): Promise<SandboxUser> {
  const { uid, gid } = await stat(workspace.path);
  if (uid === 0) {
    throw new CasemateError(
      'PATH_INVALID',
      `${visible(workspace.path)} belongs to root, and this engine would have to run as root to write there`,
      {
        hint: 'Give the folder to an ordinary user (chown -R), or use the engine oci, which maps ids.',
      },
    );
  }
  return { uid, gid: gid === 0 ? uid : gid };
}

/** The same hand as with oci: past no symbolic link, never out of the workspace. */
async function makePlaceholders(
  { machine, options }: DockerContext,
  { workspace }: SandboxSpec,
  { user, protections }: { readonly user: SandboxUser; readonly protections: readonly Protection[] },
): Promise<void> {
  const rows = protections.flatMap(({ path, placeholder }) =>
    placeholder === undefined ? [] : [line('placeholder', path, placeholder)],
  );
  if (rows.length === 0) {
    return;
  }
  const owner = options.uid === 0 ? [user.uid, user.gid] : [];
  const plan = [line('workspace', workspace.path, ...owner), ...rows, ''].join('\n');
  const args = [dataFile('engines/oci/stage.pl'), machine, String(process.pid)];
  const { exitCode, stderr } = await run('perl', args, { env: options.env, input: plan, timeoutMs: 30_000 });
  if (exitCode !== 0) {
    throw new CasemateError(
      'ENGINE_FAILED',
      `cannot keep names of the workspace taken: ${visible(stderr.toString('utf8').trim()).slice(0, 300)}`,
    );
  }
}

/** What the daemon put there before the first start is the agent's from now on. Nothing of the sandbox runs meanwhile. */
async function ownHome({ home }: SandboxSpec, { uid, gid }: SandboxUser): Promise<void> {
  try {
    await giveTree(home, { uid, gid }, (await stat(join(home, '..'))).uid);
  } catch (error) {
    throw new CasemateError('ENGINE_FAILED', `the home folder must belong to user ${uid}, who owns the workspace`, {
      cause: error,
    });
  }
}

/** The ids by which it is known inside. */
export async function agentOf({ facts, options }: DockerContext, spec: SandboxSpec): Promise<SandboxUser> {
  const owner = await userOf(spec);
  if (!(await facts()).userNamespace) {
    return owner;
  }
  if (owner.uid !== options.uid) {
    throw new CasemateError('PATH_INVALID', `${visible(spec.workspace.path)} belongs to another user, who is nobody inside`);
  }
  return { uid: agentId, gid: agentId };
}

/** The image knows the agent by one id, and files by names: here both have the id of the workspace's owner. */
async function accountFiles(context: DockerContext, spec: SandboxSpec, { uid, gid }: SandboxUser): Promise<SandboxSpec['files']> {
  const { userFile, groupFile, nameFile } = context.sandbox(spec.id);
  const [users, groups] = await Promise.all(['passwd', 'group'].map((name) => readFile(join(spec.rootfs, 'etc', name), 'utf8')));
  const others = (text: string | undefined, id: number): readonly string[] =>
    (text ?? '').split('\n').filter((row) => row !== '' && !row.startsWith('agent:') && row.split(':')[2] !== String(id));
  await writeFile(userFile, `${[...others(users, uid), `agent:x:${uid}:${gid}:agent:/home/agent:/bin/bash`].join('\n')}\n`);
  await writeFile(groupFile, `${[...others(groups, gid), `agent:x:${gid}:`].join('\n')}\n`);
  await writeFile(nameFile, `${spec.hostname}\n`);
  await Promise.all([userFile, groupFile, nameFile].map((file) => chmod(file, 0o644)));
  return [
    { source: userFile, target: '/etc/passwd' },
    { source: groupFile, target: '/etc/group' },
    { source: nameFile, target: '/etc/hostname' },
  ];
}

interface BothContainers {
  readonly keeper: string;
  readonly sandbox: string;
  readonly uplink: string | undefined;
  readonly hasStarted: boolean;
}

/** The containers of a sandbox; where the engine has none, they are made anew from the record. */
export async function ensureContainers(context: DockerContext, id: string, abort: Abortable): Promise<BothContainers> {
  const [before, way] = await Promise.all([context.records.get(id), context.way()]);
  const find = async (): Promise<BothContainers | undefined> => {
    const own = await ownContainers(context, id);
    const keeper = own.find(({ part, state }) => part === 'keeper' && state === 'running');
    const sandbox = own.find(({ part, state }) => part === 'sandbox' && (state === 'created' || state === 'running'));
    const uplink = own.find(({ part, state }) => part === 'uplink' && state === 'running');
    return keeper === undefined || sandbox === undefined || (way.uplink !== undefined && uplink === undefined)
      ? undefined
      : { keeper: keeper.id, sandbox: sandbox.id, uplink: uplink?.id, hasStarted: sandbox.state === 'running' };
  };
  const found = await find();
  if (found !== undefined) {
    return found;
  }
  await removeContainers(context, id);
  await make(context, before, abort);
  const made = await find();
  if (made === undefined) {
    throw new CasemateError('ENGINE_FAILED', 'the containers of the sandbox ended at once');
  }
  return made;
}

export async function startSandbox(context: DockerContext, id: string, abort: Abortable): Promise<void> {
  const { sandbox, hasStarted } = await ensureContainers(context, id, abort);
  if (hasStarted && (await firstProcess(context, sandbox)) !== undefined) {
    return;
  }
  try {
    await startContainer(context, sandbox);
    await requireStarted(context, id, sandbox);
  } catch (error) {
    await removeContainers(context, id);
    throw error;
  }
}

/** Before anything of the sandbox's own runs: its first process is ours, and waits. */
async function requireStarted(context: DockerContext, id: string, container: string): Promise<void> {
  const { body, mounts } = await askedFor(context.sandbox(id).askedFor);
  const init = await requireAsAsked(context, container, body);
  const record = await context.records.get(id);
  const [kernel, way] = await Promise.all([kernelOf(context), context.way()]);
  const inside = mountsIn(await kernel.read(init.pid, 'mountinfo'));
  requireMounts(record, inside);
  await (way.isElsewhere ? requireSharedFiles({ kernel, init, inside }, record.spec, mounts) : requireSamePlaces(inside, mounts));
  await restrictMounts(kernel, init.pid, fieldsOf(body.HostConfig['Tmpfs']));
  await limitPools(context, init.pid, record.spec);
  context.running.set(id, { container, init });
  if (way.uplink !== undefined) {
    return;
  }
  // For the next one.
  fillKeepers(context, record.spec, async (spec) => {
    const image = await imageOf(context, spec, {});
    return { image, container: await makeKeeper(context, spec, image) };
  });
}

export async function stopSandbox(context: DockerContext, id: string, graceMs: number): Promise<void> {
  const record = await context.records.read(id);
  if (record === undefined) {
    return;
  }
  const running = graceMs > 0 ? await runningSandbox(context, id) : undefined;
  if (running !== undefined) {
    await askToEnd(context, record, { ...running, graceMs });
  }
  await tearDown(context, id, { writesRecord: true });
}

interface Asked {
  readonly container: string;
  readonly init: ProcessIdentity;
  readonly graceMs: number;
}

/** The signal is sent from inside, as the agent: no process id of the host is ever guessed. */
async function askToEnd(context: DockerContext, { spec }: EngineRecord, { container, init, graceMs }: Asked): Promise<void> {
  const kernel = await kernelOf(context);
  const isAlone = async (): Promise<boolean> => (await kernel.processesInside(init)).length <= 1;
  if (await isAlone()) {
    return;
  }
  const { uid, gid } = await agentOf(context, spec);
  const command = ['/bin/sh', '-c', 'kill -TERM -1'];
  // What does not answer is ended all the same.
  await runInside(context, { container, user: `${uid}:${gid}`, command, timeoutMs: graceMs }).catch(() => undefined);
  await waitUntil(isAlone, graceMs);
}

export async function removeSandbox(context: DockerContext, id: string): Promise<void> {
  if ((await context.records.read(id)) !== undefined) {
    await forget(context, id);
    // A container with root's rights is not kept for nobody; who asks next has another one made.
    if ((await context.records.all()).every(({ ready }) => ready === true)) {
      await context.kernelPlace.observer?.close();
    }
  }
}

async function forget(context: DockerContext, id: string): Promise<void> {
  // A full disk takes no new record, and none is needed: until the last step the one that is there lists everything.
  await tearDown(context, id, { writesRecord: false });
  await context.records.remove(id);
}

async function tearDown(context: DockerContext, id: string, options: { readonly writesRecord: boolean }): Promise<void> {
  context.running.delete(id);
  await removeContainers(context, id);
  const { workspace } = (await context.records.get(id)).spec;
  await releaseNames(context, id, options);
  await removeLeftFile(workspace.path, id);
  const { folder, shown } = context.sandbox(id);
  await Promise.all([folder, shown].map((one) => rm(one, { recursive: true, force: true })));
}

/** Containers whose record is gone: a process was killed between the two. Those of others have not our mark. */
export async function tidy(context: DockerContext): Promise<void> {
  await context.records.tidy();
  if (!(await context.hasMade())) {
    return;
  }
  await forgetReady(context, await context.records.all()).catch(() => undefined);
  const known = new Set((await context.records.all()).map(({ spec }) => spec.id));
  // Of an engine that does not answer the next tidying takes care.
  const own = await ownContainers(context).catch((): readonly OwnContainer[] => []);
  // Asked behind the list: one that is on it was named before it was made.
  known.add(context.kernelPlace.observer?.label() ?? '');
  const lost = new Set(own.map(({ sandbox }) => sandbox).filter((sandbox) => !known.has(sandbox)));
  await Promise.all([...lost].map((sandbox) => removeContainers(context, sandbox)));
}
