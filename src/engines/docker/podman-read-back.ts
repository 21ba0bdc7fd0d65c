import { agentId } from '../oci/ids.ts';
import type { BindMount, ContainerBody } from './container-bodies.ts';
import { bindOptions, isNothing } from './podman-spec.ts';
import type { PodmanTold } from './podman-told.ts';
import { fieldsOf, numberOf, rowsOf, textOf, type Fields } from './read-json.ts';

/**
 * Compares what Podman gave to the container runtime with what was requested. Podman writes that file (`config.json` of the OCI
 * runtime specification) for each start, so this does not rest on what Podman reports. Pure.
 */

/** Places that Podman mounts by itself, in all that were tried; what lies elsewhere was not asked for. */
const ofPodman: ReadonlySet<string> = new Set([
  '/proc',
  '/dev',
  '/dev/pts',
  '/dev/mqueue',
  '/dev/shm',
  '/sys',
  '/sys/fs/cgroup',
  '/etc/hostname',
  '/run/.containerenv',
]);

/** That hold nothing of the host: a proxy of Podman's own environment would. */
const namesInEnvironment: ReadonlySet<string> = new Set(['PATH', 'TERM', 'container', 'HOSTNAME', 'HOME']);

/** Names of what differs, e.g. `linux.seccomp`; empty when all is as asked. */
export function podmanDifferences(body: ContainerBody, { inspected, configuration }: PodmanTold): readonly string[] {
  const [answer, config, host] = [fieldsOf(inspected), fieldsOf(configuration), body.HostConfig];
  const [program, linux] = [fieldsOf(config['process']), fieldsOf(config['linux'])];
  const labels = fieldsOf(fieldsOf(answer['Config'])['Labels']);
  const facts: Readonly<Record<string, boolean>> = {
    Image: `sha256:${textOf(answer['Image']).replace(/^sha256:/, '')}` === body.Image,
    'Config.Labels': Object.entries(body.Labels).every(([name, value]) => labels[name] === value),
    hooks: isNothing(config['hooks']),
    'root.readonly': fieldsOf(config['root'])['readonly'] === true,
    'process.terminal': isNothing(program['terminal']),
    'process.args': isSame(program['args'], [...body.Entrypoint, ...body.Cmd]),
    'process.environment': rowsOf(program['env']).every((row) => namesInEnvironment.has(textOf(row).split('=')[0] ?? '')),
    'process.user': isUser(program['user'], body.User, isNothing(host['UsernsMode']) ? [] : [agentId]),
    'process.capabilities': Object.values(fieldsOf(program['capabilities'])).every(isNothing),
    'process.noNewPrivileges': program['noNewPrivileges'] === true,
    'process.oomScoreAdj': program['oomScoreAdj'] === host['OomScoreAdj'],
    'process.rlimits': hasLimits(program['rlimits'], host['Ulimits']),
    'linux.namespaces': hasNamespaces(linux['namespaces'], host),
    'linux.seccomp': isSame(callsOf(linux['seccomp']), callsOf(seccompIn(host['SecurityOpt']))),
    'linux.maskedPaths': rowsOf(host['MaskedPaths']).every((path) => rowsOf(linux['maskedPaths']).includes(path)),
    'linux.readonlyPaths': rowsOf(host['ReadonlyPaths']).every((path) => rowsOf(linux['readonlyPaths']).includes(path)),
    'linux.devices': isNothing(linux['devices']),
    'linux.sysctl': Object.entries(fieldsOf(host['Sysctls'])).every(([name, value]) => fieldsOf(linux['sysctl'])[name] === value),
    'linux.resources': hasResources(fieldsOf(linux['resources']), host),
  };
  return [
    ...Object.entries(facts).flatMap(([name, holds]) => (holds ? [] : [name])),
    ...otherMounts(rowsOf(config['mounts']).map(fieldsOf), host),
  ];
}

function isSame(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** With a user namespace Podman adds the caller's group, which is the agent's inside. */
function isUser(user: unknown, asked: string, groups: readonly unknown[]): boolean {
  const { uid, gid, additionalGids } = fieldsOf(user);
  return `${String(uid)}:${String(gid)}` === asked && rowsOf(additionalGids).every((id) => id === gid || groups.includes(id));
}

/** Each once and as asked. Podman adds a number of processes where none is given: for the id on the whole host. */
function hasLimits(told: unknown, asked: unknown): boolean {
  const rows = rowsOf(told).map(fieldsOf);
  const wanted = rowsOf(asked).map(fieldsOf);
  const names = new Set(wanted.map(({ Name }) => `RLIMIT_${textOf(Name).toUpperCase()}`));
  const isAsked = wanted.every(({ Name, Hard, Soft }) => {
    const found = rows.filter(({ type }) => type === `RLIMIT_${textOf(Name).toUpperCase()}`);
    return found.length === 1 && found[0]?.['hard'] === Hard && found[0]?.['soft'] === Soft;
  });
  return isAsked && rows.every(({ type }) => names.has(textOf(type)) || type === 'RLIMIT_NPROC');
}

/** All of its own, but for those that are another container's. */
function hasNamespaces(told: unknown, host: Fields): boolean {
  const paths = new Map(rowsOf(told).map((row) => [textOf(fieldsOf(row)['type']), textOf(fieldsOf(row)['path'])]));
  const own = ['pid', 'ipc', 'uts', 'mount', 'cgroup'].every((type) => paths.get(type) === '');
  const joins = (mode: unknown): boolean => textOf(mode).startsWith('container:');
  const network = paths.has('network') && (paths.get('network') !== '') === joins(host['NetworkMode']);
  const users = isNothing(host['UsernsMode'])
    ? !paths.has('user')
    : paths.has('user') && (paths.get('user') !== '') === joins(host['UsernsMode']);
  return own && network && users;
}

function seccompIn(options: unknown): unknown {
  const text = rowsOf(options)
    .map(textOf)
    .find((option) => option.startsWith('seccomp='));
  return JSON.parse(text?.slice('seccomp='.length) ?? 'null');
}

/** What a list of system calls says, in one order: Podman sorts and splits its rows. */
function callsOf(list: unknown): readonly string[] {
  const { defaultAction, defaultErrnoRet, architectures, syscalls } = fieldsOf(list);
  const rows = rowsOf(syscalls)
    .map(fieldsOf)
    .flatMap(({ names, action, errnoRet, args }) =>
      rowsOf(names).map((name) => JSON.stringify([name, action, errnoRet ?? null, rowsOf(args).map(argumentOf)])),
    );
  const machines = rowsOf(architectures).map((name) => `for ${textOf(name)}`);
  return [`else ${textOf(defaultAction)} ${numberOf(defaultErrnoRet) ?? ''}`, ...machines.toSorted(), ...rows.toSorted()];
}

function argumentOf(argument: unknown): readonly unknown[] {
  const { index, value, valueTwo, op } = fieldsOf(argument);
  return [index, value, valueTwo ?? 0, op];
}

function hasResources(told: Fields, host: Fields): boolean {
  const [memory, cpu, pids] = ['memory', 'cpu', 'pids'].map((name) => fieldsOf(told[name]));
  const share = (numberOf(cpu?.['quota']) ?? 0) / (numberOf(cpu?.['period']) ?? 1);
  const pairs: readonly (readonly [unknown, unknown])[] = [
    [host['Memory'], memory?.['limit']],
    [host['MemorySwap'], memory?.['swap']],
    [host['PidsLimit'], pids?.['limit']],
    [host['NanoCpus'], Math.round(share * 1e9)],
  ];
  const isClosed = rowsOf(told['devices']).every((row) => fieldsOf(row)['allow'] === false);
  return isClosed && pairs.every(([asked, given]) => asked === undefined || asked === given);
}

/** Of several mounts at one place the last one is seen. */
function otherMounts(told: readonly Fields[], host: Fields): readonly string[] {
  // oxlint-disable-next-line no-unsafe-type-assertion -- made by `bindMount`
  const binds = rowsOf(host['Mounts']) as readonly BindMount[];
  const memory = Object.keys(fieldsOf(host['Tmpfs']));
  const asked = new Set([...binds.map(({ Target }) => Target), ...memory]);
  const wrong = binds.filter(({ Source, Target, ReadOnly }) => {
    const { type, source, options } = told.findLast(({ destination }) => destination === Target) ?? {};
    return (
      type !== 'bind' || source !== Source || !isSame(rowsOf(options).map(textOf).toSorted(), bindOptions(ReadOnly).toSorted())
    );
  });
  const noMemory = memory.filter((place) => {
    const { type, options } = told.findLast(({ destination }) => destination === place) ?? {};
    return type !== 'tmpfs' || !['nosuid', 'nodev'].every((option) => rowsOf(options).includes(option));
  });
  const strange = told.map(({ destination }) => textOf(destination)).filter((place) => !asked.has(place) && !ofPodman.has(place));
  return [...wrong.map(({ Target }) => Target), ...noMemory, ...strange].map((place) => `mounts ${place}`);
}
