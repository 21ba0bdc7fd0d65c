import { createPrivateKey, X509Certificate } from 'node:crypto';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { CasemateError } from '../../base/errors.ts';
import type { HomeFile } from '../../agents/agent.ts';
import { copyHome, planHome, type HomeSource } from '../../agents/home.ts';
import { agentServers, mcpFile, mcpFileText } from '../../agents/mcp-servers.ts';
import { trustBundle } from '../../agents/trust.ts';
import type { Authority } from '../../gateway/gateway.ts';
import type { SandboxId } from '../../base/ids.ts';
import { privateFolder, readTextIfPresent, replaceFile, writeDurably } from '../../system/files.ts';
import { ownText } from '../../system/own-files.ts';
import type { Paths } from '../../system/paths.ts';
import type { PlanCredentials } from '../credentials/plan-credentials.ts';
import type { SandboxContext } from '../context.ts';
import { placedFiles } from './placed-files.ts';
import { agentOfPlan, type Plan } from '../plan/plan.ts';
import { removeTree } from '../../system/remove-tree.ts';
import { hostsFile, resolvConf, sandboxFolders } from '../plan/spec.ts';
import type { SandboxRow } from '../stored/store.ts';

/** The folder of one sandbox on the host: its home, the files shown inside, its authority. */

export function sandboxFolder(paths: Paths, id: SandboxId): string {
  return join(paths.state, 'sandboxes', id);
}

export interface FolderFacts {
  readonly row: Pick<SandboxRow, 'id' | 'name'>;
  readonly plan: Plan;
  readonly credentials: PlanCredentials;
}

/**
 * Makes what is missing, leaves what is there: a second start finds the home as it was. What the sandbox trusts is an
 * empty file until `writeTrust` has ended, so that a container can be made around it meanwhile.
 */
export async function prepareFolder(context: SandboxContext, facts: FolderFacts): Promise<void> {
  const folder = await privateFolder(sandboxFolder(context.paths, facts.row.id));
  const folders = sandboxFolders(folder);
  const isFresh = ownText(folders.authorityCertificate) === undefined;
  mkdirSync(dirname(folders.resolvConf), { recursive: true, mode: 0o755 });
  mkdirSync(folders.logs, { recursive: true, mode: 0o700 });
  writeFileSync(folders.trustBundle, '', { flag: 'a', mode: 0o644 });
  writeShown(folders.resolvConf, resolvConf);
  writeShown(folders.hosts, hostsFile(facts.row.name));
  await (isFresh ? fillHome(context, facts, folders.home) : undefined);
}

/** After `prepareFolder`: its certificate, once there, says that the home is whole. */
export async function writeTrust(context: SandboxContext, { id }: FolderFacts['row']): Promise<Authority> {
  const folders = sandboxFolders(sandboxFolder(context.paths, id));
  const authority = await ensureAuthority(context, folders);
  writeShown(folders.trustBundle, trustBundle(context.hostTrustPem, authority.certificatePem));
  return authority;
}

/** Whose configuration an agent may get: the user's, or at the level `service` that in the folder `service` beside the user's policy. */
export function homeSource({ userHome, paths }: SandboxContext): HomeSource {
  return { userHome, serviceHome: join(paths.config, 'service') };
}

/** Files of the agent, of tools that look for credentials, and the classified copy of the user's own configuration. */
async function fillHome(context: SandboxContext, { plan, credentials }: FolderFacts, home: string): Promise<void> {
  await rm(home, { recursive: true, force: true });
  await mkdir(home, { mode: 0o700 });
  const agent = agentOfPlan(plan);
  if (agent !== undefined && plan.agent !== undefined) {
    await copyHome(await planHome(agent, plan.level, homeSource(context)), home);
    const { permissions, telemetry, provider } = plan.agent;
    const phantom = agent.provider === undefined ? undefined : credentials.phantomOf(agent.provider);
    const login = provider === 'login' ? credentials.loginOf(agent.name) : undefined;
    const servers = plan.mcpServers === undefined ? undefined : agentServers(plan.mcpServers, credentials.phantomNamed);
    await writeInto(home, agent.homeFiles({ permissions, telemetry, provider, phantom, login, servers }));
  }
  const placed = placedFiles(plan, credentials.phantomNamed).map((file) => ({ ...file, mode: 0o600 }));
  await refuseSecond(home, placed);
  await writeInto(home, placed);
  if (plan.mcpServers !== undefined && agent?.serversInHome !== true) {
    await writeInto(home, [{ path: mcpFile, content: mcpFileText(plan.mcpServers, credentials.phantomNamed), mode: 0o400 }]);
  }
}

/** What came along with the agent is not written over: a tool would then find half of what was meant for it. */
async function refuseSecond(home: string, files: readonly HomeFile[]): Promise<void> {
  const found = await Promise.all(files.map(({ path }) => readTextIfPresent(join(home, path))));
  const taken = files.find((_, index) => found[index] !== undefined);
  if (taken !== undefined) {
    throw new CasemateError(
      'POLICY_INVALID',
      `the agent's configuration brings ~/${taken.path}, and a credential is to be found there`,
      {
        hint: 'Take the file out of what is copied for the agent, or the credential out of the policy.',
      },
    );
  }
}

/** Before anything has run inside. */
async function writeInto(home: string, files: readonly HomeFile[]): Promise<void> {
  for (const file of files) {
    const path = join(home, file.path);
    // oxlint-disable-next-line no-await-in-loop -- a handful of small files, parents first
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    // oxlint-disable-next-line no-await-in-loop -- as above
    await writeDurably(path, file.content, file.mode);
  }
}

/** Not worth a wait for the disk: what a power cut left of it is made anew. */
async function ensureAuthority(
  { clock, authorities }: SandboxContext,
  folders: ReturnType<typeof sandboxFolders>,
): Promise<Authority> {
  const { authorityCertificate, authorityKey } = folders;
  const [certificatePem, privateKeyPem] = [authorityCertificate, authorityKey].map(ownText);
  const kept = certificatePem === undefined || privateKeyPem === undefined ? undefined : { certificatePem, privateKeyPem };
  if (kept !== undefined && livesOn(kept, clock.nowMs())) {
    return kept;
  }
  const authority = await authorities.take();
  await replaceFile(authorityKey, authority.privateKeyPem);
  await replaceFile(authorityCertificate, authority.certificatePem);
  return authority;
}

/** Whether both belong together and stay valid for the day a sandbox may run on without a new start. */
function livesOn({ certificatePem, privateKeyPem }: Authority, nowMs: number): boolean {
  try {
    const certificate = new X509Certificate(certificatePem);
    return certificate.checkPrivateKey(createPrivateKey(privateKeyPem)) && certificate.validToDate.getTime() > nowMs + dayMs;
  } catch {
    return false;
  }
}

const dayMs = 86_400_000;

/** Readable by every id, because the sandbox's user is a mapped one; nothing secret is ever in these. */
function writeShown(path: string, content: string): void {
  if (ownText(path) !== content) {
    // Made anew at every start, so not worth a wait for the disk.
    writeFileSync(path, content, { mode: 0o644 });
    chmodSync(path, 0o644);
  }
}

export async function readAuthority(context: SandboxContext, id: SandboxId): Promise<Authority | undefined> {
  const folders = sandboxFolders(sandboxFolder(context.paths, id));
  const [certificatePem, privateKeyPem] = [folders.authorityCertificate, folders.authorityKey].map(ownText);
  return certificatePem === undefined || privateKeyPem === undefined ? undefined : { certificatePem, privateKeyPem };
}

/** Links in it are removed and never followed, so nothing outside the folder can be reached from in it. */
export async function removeFolder(context: SandboxContext, id: SandboxId): Promise<void> {
  await removeTree(sandboxFolder(context.paths, id));
}
