import { join } from 'node:path';

import type { SandboxSpec } from '../../engines/engine.ts';
import { halfOf } from './companion-plans.ts';
import type { Plan } from './plan.ts';

/** Turns a plan into what an engine is told. Pure: ids and folders are passed in, nothing is looked up. */

export interface SpecFacts {
  readonly id: string;
  readonly owner: string;
  readonly name: string;
  readonly rootfs: string;
  /** our folder of this sandbox */
  readonly folder: string;
  /** variable to phantom */
  readonly phantoms: Readonly<Record<string, string>>;
}

/** Where things of a sandbox lie on the host; all of it ours, none of it a mount but `home` and the files of `etc`. */
export function sandboxFolders(folder: string) {
  return {
    home: join(folder, 'home'),
    volumes: join(folder, 'volumes'),
    containerNames: join(folder, 'containers.json'),
    logs: join(folder, 'logs'),
    authorityKey: join(folder, 'authority.key'),
    authorityCertificate: join(folder, 'authority.pem'),
    resolvConf: join(folder, 'etc/resolv.conf'),
    hosts: join(folder, 'etc/hosts'),
    trustBundle: join(folder, 'etc/ca-certificates.crt'),
  } as const;
}

export const trustBundlePath = '/etc/ssl/certs/ca-certificates.crt';

export function specOf(plan: Plan, facts: SpecFacts): SandboxSpec {
  const folders = sandboxFolders(facts.folder);
  const { memoryBytes, cpus, pids, diskBytes, fileBytes, openFiles } = plan.limits;
  return {
    id: facts.id,
    owner: facts.owner,
    hostname: facts.name,
    runtime: plan.runtime,
    rootfs: facts.rootfs,
    workspace: mountOf(plan),
    home: folders.home,
    files: [
      { source: folders.resolvConf, target: '/etc/resolv.conf' },
      { source: folders.hosts, target: '/etc/hosts' },
      { source: folders.trustBundle, target: trustBundlePath },
    ],
    env: { ...plan.env, ...facts.phantoms, CASEMATE_SANDBOX: facts.name },
    ...sharedLimits({ memoryBytes, cpus, pids, diskBytes, fileBytes, openFiles }, plan, folders.volumes),
    ports: { tcp: plan.network.tcpPorts, udp: plan.network.udpPorts },
    waived: plan.waive,
  };
}

/** Of a layout the sandbox reads one folder and writes the others, as a mount of the kernel says. */
function mountOf({ workspace: { path, mode, protect, layout } }: Plan): SandboxSpec['workspace'] {
  return { path, mode, protect, ...(layout?.includes('imports') === true ? { fixed: ['imports'] } : {}) };
}

/**
 * Where containers are offered they have one half of what the sandbox may use, and its own programs the other; so it is with
 * the sandboxes of its servers.
 */
function sharedLimits(
  whole: SandboxSpec['limits'],
  { docker, companions }: Plan,
  volumes: string,
): Pick<SandboxSpec, 'limits' | 'containers'> {
  const limits = companions === undefined ? whole : halfOf(whole);
  if (docker === undefined) {
    return { limits };
  }
  const { memoryBytes, cpus, pids } = limits;
  const half = { ...limits, memoryBytes: Math.floor(memoryBytes / 2), cpus: cpus / 2, pids: Math.floor(pids / 2) };
  return { limits: half, containers: { limits: half, volumes } };
}

export const resolvConf = 'nameserver 127.0.0.1\noptions timeout:2 attempts:2\n';

export function hostsFile(name: string): string {
  return `127.0.0.1 localhost ${name}\n::1 localhost\n`;
}
