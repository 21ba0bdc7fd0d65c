import { constants } from 'node:fs';
import { chmod, chown, mkdir, open, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';

import { CasemateError } from '../../../base/errors.ts';
import { visible } from '../../../base/text.ts';
import { copyBounded } from '../../../system/copy-bounded.ts';
import { privateFolder } from '../../../system/files.ts';
import type { NestedMount } from '../../containers.ts';
import type { SandboxSpec } from '../../engine.ts';
import { bindMount, type BindMount, volumeMount, type VolumeMount } from '../container-bodies.ts';
import type { DockerContext } from '../context.ts';
import { labelsOf, type Marks } from '../labels.ts';
import { openPlace, type HeldPlace } from './held-place.ts';

/**
 * What a container next to the sandbox sees of the sandbox's files, and under which protection. The engine finds what it mounts
 * by path and follows links. So a folder is given to it as a volume whose device is a link in a private folder of ours: the link
 * leads to a handle that we hold while the container starts, and nowhere afterwards. The engine mounts that before the container
 * exists, so no name that the sandbox can change is ever looked up twice. A single file is shown as a copy.
 */

export interface MountContext {
  readonly context: DockerContext;
  readonly spec: SandboxSpec;
  readonly marks: Marks;
  readonly agent: { readonly uid: number; readonly gid: number };
  /** what the sandbox was given */
  readonly given: readonly BindMount[];
}

interface PathMount {
  readonly mount: NestedMount;
  readonly root: string;
  readonly names: readonly string[];
  /** of the volume, and of the link or copy beside it */
  readonly name: string;
}

const greatestFile = 64 * 1024 * 1024;

/** What the engine is told. Volumes are made; nothing is held open afterwards. */
export async function placeMounts(
  facts: MountContext,
  key: string,
  mounts: readonly NestedMount[],
): Promise<readonly (BindMount | VolumeMount)[]> {
  const { spec, given } = facts;
  const volumes = volumesOf(spec);
  const shown = spec.files.map(({ source, target }) => bindMount(source, target, 'read'));
  const own = mounts.filter(({ target }) => !spec.files.some((file) => file.target === target));
  const rows = await withPlaces(facts, pathMounts(facts, key, own), async (held) =>
    held.flatMap(({ path, place }) => {
      const { source, target } = path.mount;
      const isReadonly = path.mount.isReadonly || isSealed(given, source) || isReadonlyHome(spec, source);
      if (place.kind === 'file') {
        return [bindMount(copyOf(facts, path.name), target, 'read')];
      }
      return [
        volumeMount(path.name, target, isReadonly ? 'read' : 'write'),
        ...given
          .filter((mount) => mount.Target.startsWith(`${source}/`))
          .map((mount) => ({ ...mount, Target: `${target}${mount.Target.slice(source.length)}` })),
      ];
    }),
  );
  await Promise.all(rows.map(async (row) => (row.Type === 'volume' ? makeDevice(facts, row.Source) : undefined)));
  const named = own
    .filter(({ kind }) => kind === 'volume')
    .map(({ source, target, isReadonly }) => bindMount(join(volumes, source), target, isReadonly ? 'read' : 'write'));
  return [...shown, ...named, ...rows];
}

/** `work` starts the container: meanwhile the links lead to what is held, and afterwards they are gone. */
export async function whileHeld<T>(
  facts: MountContext,
  key: string,
  { mounts, work }: { readonly mounts: readonly NestedMount[]; readonly work: () => Promise<T> },
): Promise<T> {
  return withPlaces(facts, pathMounts(facts, key, mounts), work);
}

async function withPlaces<T>(
  facts: MountContext,
  paths: readonly PathMount[],
  work: (held: readonly { path: PathMount; place: HeldPlace }[]) => Promise<T>,
): Promise<T> {
  const held: { path: PathMount; place: HeldPlace }[] = [];
  const links: string[] = [];
  await privateFolder(linkFolder(facts));
  try {
    for (const path of paths) {
      // oxlint-disable-next-line no-await-in-loop -- what was opened is closed again, whichever fails
      const place = await openPlace(path.root, path.names, path.mount.source);
      held.push({ path, place });
      if (place.kind === 'folder') {
        const link = deviceOf(facts, path.name);
        // oxlint-disable-next-line no-await-in-loop -- as above
        await rm(link, { force: true });
        // oxlint-disable-next-line no-await-in-loop -- as above
        await symlink(`/proc/${process.pid}/fd/${place.handle.fd}`, link);
        links.push(link);
      } else {
        // oxlint-disable-next-line no-await-in-loop -- as above
        await copyHeld(facts, path, place);
      }
    }
    return await work(held);
  } finally {
    await Promise.all(links.map((link) => rm(link, { force: true })));
    await Promise.all(held.map(({ place }) => place.handle.close()));
  }
}

function pathMounts({ spec }: MountContext, key: string, mounts: readonly NestedMount[]): readonly PathMount[] {
  const roots = { '/workspace': spec.workspace.path, '/home/agent': spec.home };
  return mounts
    .filter(({ kind }) => kind === 'path')
    .map((mount, index) => {
      const found = Object.entries(roots).find(([place]) => mount.source === place || mount.source.startsWith(`${place}/`));
      if (found === undefined) {
        throw new CasemateError('PATH_INVALID', `${visible(mount.source)} is neither below /workspace nor below /home/agent`);
      }
      const [place, root] = found;
      const names = mount.source.slice(place.length).split('/').slice(1);
      return { mount, root, names, name: `casemate-${spec.id}-${key}-${index}` };
    });
}

/** Below what the sandbox itself may not write. */
function isSealed(given: readonly BindMount[], source: string): boolean {
  return given.some(({ Target, ReadOnly }) => ReadOnly && (source === Target || source.startsWith(`${Target}/`)));
}

function isReadonlyHome({ workspace }: SandboxSpec, source: string): boolean {
  return workspace.mode === 'readonly' && (source === '/workspace' || source.startsWith('/workspace/'));
}

async function copyHeld(facts: MountContext, { name, mount }: PathMount, { handle }: HeldPlace): Promise<void> {
  const { size } = await handle.stat();
  if (size > greatestFile) {
    throw new CasemateError(
      'PATH_INVALID',
      `${visible(mount.source)} is longer than a single file may be that is shown by itself`,
    );
  }
  const target = copyOf(facts, name);
  await rm(target, { force: true });
  // What is held names the file and reads nothing (O_PATH); its name in /proc leads to the very file.
  const file = await open(`/proc/self/fd/${handle.fd}`, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    await copyBounded(file, target, size);
  } finally {
    await file.close();
  }
  await (facts.context.options.uid === 0 ? chown(target, facts.agent.uid, facts.agent.gid) : Promise.resolve());
  await chmod(target, ((await handle.stat()).mode & 0o111) === 0 ? 0o644 : 0o755);
}

/** A volume of the engine's whose content is wherever the link leads when a container starts. */
async function makeDevice(facts: MountContext, name: string): Promise<void> {
  const body = {
    Name: name,
    Driver: 'local',
    DriverOpts: { type: 'none', o: 'bind', device: deviceOf(facts, name) },
    Labels: labelsOf(facts.marks, 'nested'),
  };
  await facts.context.client.must('POST', '/volumes/create', { body });
}

function linkFolder({ context, spec }: MountContext): string {
  return join(context.sandbox(spec.id).folder, 'shown');
}

function deviceOf(facts: MountContext, name: string): string {
  return join(linkFolder(facts), name);
}

function copyOf(facts: MountContext, name: string): string {
  return `${deviceOf(facts, name)}.copy`;
}

/** Where named volumes lie: folders of ours, which a container sees from within only. */
export function volumesOf({ containers }: SandboxSpec): string {
  if (containers === undefined) {
    throw new CasemateError('UNSUPPORTED', 'this sandbox has no containers of its own');
  }
  return containers.volumes;
}

export async function makeVolumeFolder(
  { context, spec, agent }: Omit<MountContext, 'given' | 'marks'>,
  name: string,
): Promise<void> {
  const folder = volumesOf(spec);
  await mkdir(folder, { recursive: true, mode: 0o711 });
  await mkdir(join(folder, name), { recursive: true, mode: 0o755 });
  await (context.options.uid === 0 ? chown(join(folder, name), agent.uid, agent.gid) : Promise.resolve());
}
