import { stat } from 'node:fs/promises';

import { allDone } from '../../base/all-done.ts';
import type { SandboxSpec } from '../engine.ts';
import { makeHome } from '../home-folder.ts';
import { coverFiles } from '../workspace/cover-files.ts';
import type { EngineLayout } from './folders.ts';
import type { GvisorChoice } from './gvisor/gvisor-calls.ts';
import { ensureHomeDisk, heldImage, type HomeDisk } from './home-disk.ts';
import { agentId, fileServerId } from './ids.ts';
import type { Protection } from '../workspace/protect.ts';
import type { EngineRecord } from '../records.ts';
import type { Identity, Owner, SandboxFacts } from './stage-plan.ts';

/** What belongs to one sandbox alone and is mounted into its container: its home, and facts about it on disk. */

export interface Content {
  readonly record: EngineRecord;
  readonly protections: readonly Protection[];
}

export interface ContentHost {
  readonly layout: EngineLayout;
  readonly env: Readonly<Record<string, string>>;
  /** the home gets a file system of its own, of limited size */
  readonly limitsHome: boolean;
  /** the sandbox gets a kernel of its own, started in this way */
  readonly gvisor: GvisorChoice | undefined;
}

export async function sandboxFacts(host: ContentHost, identity: Identity, content: Content): Promise<SandboxFacts> {
  const { protections } = content;
  const { spec } = content.record;
  await makeHome(spec.home);
  const [homeDisk, owners, covers] = await allDone([
    homeDiskOf(content.record, host),
    ownersOf(spec),
    coverFiles(host.layout.covers),
  ]);
  const { workshop } = host.layout.sandbox(spec.id);
  return { identity, owners, creators: creatorsOf(host.gvisor), homeDisk, protections, covers, workshop };
}

/** Ids by which files are made inside: gVisor's file server makes them, and gives them to the agent. */
export function creatorsOf(gvisor: GvisorChoice | undefined): readonly number[] {
  return gvisor === undefined ? [agentId] : [agentId, fileServerId];
}

/** Of what this installation makes: homes, covers, files that are shown. */
export function ownerOfOurs(): Promise<Owner> {
  return ownerOf('/proc/self');
}

async function homeDiskOf(
  { spec, container }: EngineRecord,
  { layout, env, limitsHome }: ContentHost,
): Promise<HomeDisk | undefined> {
  const { diskBytes: sizeBytes } = spec.limits;
  const { home: mountPoint } = layout.sandbox(spec.id);
  const { blanks } = layout;
  const held = container === undefined ? undefined : heldImage(blanks, spec.id);
  return limitsHome ? ensureHomeDisk(spec.home, { env, sizeBytes, mountPoint, blanks, held }) : undefined;
}

async function ownersOf(spec: SandboxSpec) {
  const [workspace, home, cover, ...files] = await Promise.all(
    [spec.workspace.path, spec.home, '/proc/self', ...spec.files.map(({ source }) => source)].map(ownerOf),
  );
  const nobody = { uid: 0, gid: 0 };
  return { workspace: workspace ?? nobody, home: home ?? nobody, cover: cover ?? nobody, files };
}

async function ownerOf(path: string): Promise<Owner> {
  const { uid, gid } = await stat(path);
  return { uid, gid };
}
