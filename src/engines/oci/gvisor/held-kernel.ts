import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';

import { CasemateError } from '../../../base/errors.ts';
import { visible } from '../../../base/text.ts';
import { readTextIfPresent } from '../../../system/files.ts';
import { kernelText } from '../../../system/kernel-text.ts';
import type { ProcessIdentity } from '../../../system/process-identity.ts';
import { run } from '../../../system/process.ts';
import type { SandboxSpec } from '../../engine.ts';
import { containerOf, type EngineRecord } from '../../records.ts';
import { mountsOf, requireMounts } from '../../workspace/protections.ts';
import type { EngineLayout } from '../folders.ts';
import { runtimeFailure } from '../runtime.ts';
import { startHeld, type GvisorChoice } from './gvisor-calls.ts';
import { gvisorPlace } from './gvisor-place.ts';
import { fileServer } from './own-processes.ts';

/**
 * A gVisor kernel made ahead. Its file server follows the host's mounts into its own namespace, and opens the root of each only
 * when the first program begins: a sandbox's own mounts are added in between. Which mounts it has open is read from the host's
 * kernel before and after, because no version of gVisor documents it.
 */

export interface HeldHost {
  readonly layout: EngineLayout;
  readonly env: Readonly<Record<string, string>>;
  readonly choice: GvisorChoice;
}

const timeoutMs = 30_000;

/** Throws `ENGINE_FAILED` where it has one open already: such a kernel is of use to nobody. */
export async function requireUnopened(spec: SandboxSpec, keeper: ProcessIdentity): Promise<void> {
  const { opened } = await lookAt(await serverOf(keeper), spec);
  if (opened.length > 0) {
    throw new CasemateError('ENGINE_FAILED', `gVisor has opened ${opened.join(', ')} before its time`);
  }
}

/** Lets the first program begin. Throws `ENGINE_FAILED` where the file server does not show what was mounted last. */
export async function startGvisor(
  record: EngineRecord,
  keeper: ProcessIdentity,
  { layout, env, choice }: HeldHost,
): Promise<void> {
  const server = await serverOf(keeper);
  requireMounts(record, await mountsOf(server));
  const place = gvisorPlace(record, { layout, isRoot: true, keeper: keeper.pid });
  const { file, args } = startHeld(containerOf(record), place, choice);
  const { exitCode } = await run(file, args, { env, timeoutMs });
  if (exitCode !== 0) {
    const said = await readTextIfPresent(`${layout.sandbox(record.spec.id).folder}/call.log`);
    throw runtimeFailure('runsc', 'start', said ?? '');
  }
  const { missing } = await lookAt(server, record.spec);
  if (missing.length > 0) {
    throw new CasemateError('ENGINE_FAILED', `gVisor does not show what is mounted at ${missing.map(visible).join(', ')}`);
  }
}

async function serverOf(keeper: ProcessIdentity): Promise<number> {
  const server = await fileServer(keeper);
  if (server === undefined) {
    throw new CasemateError('ENGINE_FAILED', "gVisor's file server ended at once");
  }
  return server;
}

/** The places of a sandbox's own mounts, by whether the uppermost mount there is open (`mnt_id` of proc(5), fdinfo). */
async function lookAt(server: number, { files }: SandboxSpec) {
  const uppermost = mountIds(await readFile(`/proc/${server}/mountinfo`, 'utf8'));
  const open = openMounts(server);
  const places = ['/workspace', '/home/agent', ...files.map(({ target }) => target)];
  const isOpen = (place: string): boolean => open.has(uppermost.get(place) ?? '');
  return { opened: places.filter(isOpen), missing: places.filter((place) => !isOpen(place)) };
}

/** By place; of several the last, which lies over the others. */
function mountIds(mountinfo: string): ReadonlyMap<string, string> {
  return new Map(
    mountinfo.split('\n').flatMap((line): [string, string][] => {
      const [id, , , , place] = line.split(' ');
      return id === undefined || place === undefined ? [] : [[place, id]];
    }),
  );
}

function openMounts(pid: number): ReadonlySet<string | undefined> {
  const names = readdirSync(`/proc/${pid}/fdinfo`);
  const texts = names.map((name) => kernelText(`/proc/${pid}/fdinfo/${name}`) ?? '');
  return new Set(texts.map((text) => /^mnt_id:\s*(\d+)$/m.exec(text)?.[1]));
}
