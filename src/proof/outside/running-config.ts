import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { ociConfig, type OciConfig } from '../../engines/oci/bundle.ts';
import { engineLayout } from '../../engines/oci/folders.ts';
import { machineOf } from '../../engines/oci/host.ts';
import { rootMapping, userMapping } from '../../engines/oci/ids.ts';
import { readyHostname } from '../../engines/oci/ready-place.ts';
import { containerOf, engineRecords } from '../../engines/records.ts';
import { sha256Of } from '../../policy/hash.ts';
import { specOf } from '../../sandbox/plan/spec.ts';
import { none, same } from '../compare.ts';
import { type Row } from '../finding.ts';
import type { Lab, LabSandbox } from '../lab/lab.ts';
import { environmentOf, processFaults, unknownKeys, versionRow } from './planned-process.ts';
import { gvisorConfigRows } from './running-gvisor.ts';

/**
 * Compares the specification that a sandbox of the lab was made from, as the runtime read it, with what the pure function gives
 * for its plan, and with invariants that are written down only here.
 */
export async function configRows(lab: Lab, sandbox: LabSandbox): Promise<readonly Row[]> {
  const layout = engineLayout({ state: join(lab.places.state, 'engine'), run: join(lab.places.runtime, 'engine') });
  const record = await engineRecords(layout.records).get(sandbox.id);
  const text = await readFile(layout.sandbox(sandbox.id).config, 'utf8');
  // oxlint-disable-next-line no-unsafe-type-assertion -- what this product wrote; the invariants look at its members one by one
  const config = JSON.parse(text) as OciConfig;
  const { plan } = sandbox.target;
  if (plan === undefined) {
    throw new Error('a sandbox of the lab has a plan');
  }
  if (plan.runtime === 'runsc') {
    return await gvisorConfigRows({ record, text, plan, target: sandbox.target });
  }
  const { id, owner, hostname, rootfs, home } = record.spec;
  const { variables, others } = environmentOf(record.spec.env, plan);
  const spec = specOf(plan, { id, owner, name: hostname, rootfs, folder: join(home, '..'), phantoms: variables });
  const isOwn = containerOf(record) === id;
  const nameInside = (await sandbox.target.inside(['cat', '/proc/sys/kernel/hostname'])).out.toString('utf8').trim();
  const facts = {
    machine: machineOf(process.arch) ?? 'x64',
    stage: config.root.path,
    idMapping:
      record.slot === undefined
        ? userMapping(config.linux.uidMappings.reduce((sum, { size }) => sum + size, -1))
        : rootMapping(record.slot),
    cgroup: cgroupOf(config),
    seccomp: !plan.waive.includes('seccomp') || config.linux.seccomp !== undefined,
  };
  return [
    // A container that was made ahead is of the same specification, and got its name later.
    same(
      'the specification that runs',
      sha256Of(ociConfig(isOwn ? spec : { ...spec, hostname: readyHostname }, facts)),
      sha256Of(config),
    ),
    same('name of the host inside', hostname, nameInside, 'inside'),
    none('what is against the invariants of every specification', configFaults(config, { seccomp: facts.seccomp })),
    none('variables of the first process that neither plan nor credentials name', others),
    versionRow(config),
  ];
}

/** The group's place and what of it can be limited are facts of the host. */
function cgroupOf({ linux }: OciConfig) {
  const { cgroupsPath, resources } = linux;
  if (cgroupsPath === undefined) {
    return undefined;
  }
  const given = Object.entries(resources ?? {});
  const memory: unknown = given.find(([name]) => name === 'memory')?.[1];
  return {
    path: cgroupsPath,
    controllers: given.map(([name]) => name),
    swap: typeof memory === 'object' && memory !== null && 'swap' in memory,
  };
}

const namespaces = ['cgroup', 'ipc', 'mount', 'network', 'pid', 'user', 'uts'];

/** All that a specification may say of Linux; each is judged. */
export const linuxMembers = [
  'uidMappings',
  'gidMappings',
  'namespaces',
  'cgroupsPath',
  'resources',
  'seccomp',
  'sysctl',
  'maskedPaths',
  'readonlyPaths',
];

/** The specification as anybody could have written it: only what is listed here may be in it, whatever the types say. */
export function configFaults(config: OciConfig, { seccomp }: { readonly seccomp: boolean }): readonly string[] {
  const { linux, process, root, mounts } = config;
  const rules: Readonly<Record<string, boolean>> = {
    'members beside the known ones': unknownKeys(config, ['ociVersion', 'process', 'root', 'hostname', 'mounts', 'linux']),
    'members of linux beside the known ones': unknownKeys(linux, linuxMembers),
    'another set of namespaces':
      linux.namespaces
        .map(({ type }) => type)
        .toSorted()
        .join() !== namespaces.join(),
    'a namespace that is joined': linux.namespaces.some((entry) => unknownKeys(entry, ['type'])),
    'id 0 of the host is mapped':
      [...linux.uidMappings, ...linux.gidMappings].some(({ hostID }) => hostID === 0) && linux.uidMappings.length === 1,
    'a root that can be written': !root.readonly,
    'no default of the filter that refuses': seccomp && linux.seccomp?.defaultAction !== 'SCMP_ACT_ERRNO',
    'fewer than 25 covered paths': linux.maskedPaths.length < 25,
    'fewer than 5 read-only paths': linux.readonlyPaths.length < 5,
    'a mount without nosuid or nodev': mounts.some(
      ({ destination, options }) => !options.includes('nosuid') || (!options.includes('nodev') && destination !== '/dev/pts'),
    ),
    'a mount from the host': mounts.some(({ type }) => !['proc', 'tmpfs', 'devpts', 'mqueue'].includes(type)),
    'a setting of the kernel beyond socket buffers': Object.keys(linux.sysctl).some(
      (name) => !/^net\.ipv4\.(?:tcp|udp)_[rw]?mem(?:_min)?$/.test(name),
    ),
    'devices that are allowed': JSON.stringify(linux.resources ?? {}).includes('"allow":true'),
  };
  return [...Object.entries(rules).flatMap(([name, broken]) => (broken ? [name] : [])), ...processFaults(process)];
}
