import { randomBytes } from 'node:crypto';

import { formatBytes } from '../base/units.ts';
import { visible } from '../base/text.ts';
import type { ContainerSpec, NestedMount } from '../engines/containers.ts';
import type { EngineLimits } from '../engines/engine-limits.ts';
import type { Note } from './notes.ts';
import type { CreateBody } from './read-create.ts';
import { readMounts } from './read-mounts.ts';
import { malformed, notOffered } from './refusal.ts';

/**
 * Turns what a client asked for into what is made, built from scratch, value by value. Pure, except for a generated name where
 * none is given.
 */

export interface SpecFacts {
  readonly share: EngineLimits;
  readonly image: { readonly id: string; readonly volumes: readonly string[]; readonly exposed: readonly string[] };
  /** as the query says it */
  readonly name: string;
  readonly networks: readonly string[];
}

export interface AskedContainer {
  readonly spec: Omit<ContainerSpec, 'note'>;
  readonly note: Note;
  /** what was asked for and is not done, in words */
  readonly warnings: readonly string[];
}

/** The part of what containers may have that one has which does not say. */
const usualPart = 8;

export function readSpec(body: CreateBody, facts: SpecFacts): AskedContainer {
  const host = body.HostConfig ?? {};
  const memoryBytes = memoryOf(host.Memory ?? 0, facts.share);
  const shown = shownOf(body, facts, Math.floor(memoryBytes / 2));
  const networkMode = networkOf(host.NetworkMode ?? '', facts.networks);
  return {
    spec: {
      ...processOf(body),
      image: facts.image.id,
      mounts: shown.mounts,
      memoryFolders: shown.memoryFolders,
      network: networkMode === 'none' ? 'none' : 'sandbox',
      memoryBytes,
      pids: pidsOf(host.PidsLimit ?? 0, facts.share),
      cpus: cpusOf(host, facts.share),
      isReadonly: host.ReadonlyRootfs === true,
      autoRemove: host.AutoRemove === true,
    },
    note: {
      version: 1,
      ...namesOf(body, facts),
      ...portsOf(body, facts),
      networks: networksOf(networkMode, body.NetworkingConfig?.EndpointsConfig ?? {}, facts.networks),
      mounts: [...shown.mounts],
      memoryFolders: shown.memoryFolders.map(({ target }) => target),
      anonymous: [...shown.anonymous],
      networkMode,
      autoRemove: host.AutoRemove === true,
      restart: host.RestartPolicy?.Name ?? '',
      memoryBytes,
    },
    warnings: warningsOf(body),
  };
}

function namesOf({ name, Image, Labels, Hostname }: CreateBody, facts: SpecFacts) {
  return { name: nameOf(facts.name, name ?? ''), image: Image, labels: { ...Labels }, hostname: Hostname ?? '' };
}

/** What runs in it, and how. */
function processOf(body: CreateBody) {
  return {
    entrypoint: body.Entrypoint ?? undefined,
    command: body.Cmd ?? undefined,
    env: (body.Env ?? []).map(variable),
    workingDir: body.WorkingDir ?? '',
    tty: body.Tty === true,
    openStdin: body.OpenStdin === true,
    stdinOnce: body.StdinOnce === true,
    stopSignal: body.StopSignal || undefined,
    stopSeconds: body.StopTimeout ?? undefined,
    health: healthOf(body.Healthcheck),
  };
}

/** A volume that nobody names gets a name that nobody guesses; so do those which the image says and nothing covers. */
function shownOf(body: CreateBody, { image }: SpecFacts, defaultBytes: number) {
  const { mounts, memoryFolders } = readMounts(body, defaultBytes);
  const covered = new Set([...mounts, ...memoryFolders].map(({ target }) => target));
  const ofImage = image.volumes
    .filter((target) => !covered.has(target) && target.startsWith('/'))
    .map((target): NestedMount => ({ kind: 'volume', source: '', target, isReadonly: false }));
  const all = [...mounts, ...ofImage].map((mount) => {
    const isNamed = mount.kind === 'path' || mount.source !== '';
    return isNamed ? { mount, isNamed } : { mount: { ...mount, source: randomBytes(32).toString('hex') }, isNamed };
  });
  return {
    mounts: all.map(({ mount }) => mount),
    memoryFolders,
    anonymous: all.filter(({ isNamed }) => !isNamed).map(({ mount }) => mount.source),
  };
}

function portsOf({ HostConfig, ExposedPorts }: CreateBody, { image }: SpecFacts): Pick<Note, 'published' | 'exposed'> {
  const exposed = [...image.exposed, ...Object.keys(ExposedPorts ?? {})].map(withProtocol);
  const published = [...publishedPorts(HostConfig?.PortBindings ?? {}), ...(HostConfig?.PublishAllPorts === true ? exposed : [])];
  return { published: [...new Set(published)], exposed: [...new Set([...exposed, ...published])] };
}

type Host = NonNullable<CreateBody['HostConfig']>;

function memoryOf(asked: number, share: EngineLimits): number {
  if (asked > share.memoryBytes) {
    throw notOffered(
      'limits',
      `${formatBytes(asked)} of memory is more than the ${formatBytes(share.memoryBytes)} that the containers of this sandbox may have together`,
    );
  }
  // The engine takes no less.
  return Math.max(6 * 1024 * 1024, asked === 0 ? Math.floor(share.memoryBytes / usualPart) : asked);
}

function pidsOf(asked: number, { pids }: EngineLimits): number {
  return asked > 0 ? Math.min(asked, pids) : pids;
}

function cpusOf({ NanoCpus, CpuQuota, CpuPeriod }: Host, share: EngineLimits): number {
  const nano = NanoCpus ?? 0;
  const quota = CpuQuota ?? 0;
  const asked = nano > 0 ? nano / 1e9 : quota > 0 ? quota / (CpuPeriod || 100_000) : share.cpus;
  return Math.min(asked, share.cpus);
}

function networkOf(mode: string, own: readonly string[]): string {
  if (mode === '' || mode === 'default' || mode === 'bridge') {
    return 'bridge';
  }
  if (mode === 'none' || own.includes(mode)) {
    return mode;
  }
  throw mode === 'host' || mode.includes(':')
    ? notOffered(
        'confinement',
        `the network ${visible(mode).slice(0, 100)} is not offered: containers share that of their sandbox`,
      )
    : malformed(`there is no network ${visible(mode).slice(0, 100)}`);
}

function networksOf(
  mode: string,
  endpoints: Readonly<Record<string, { readonly Aliases?: readonly string[] | null | undefined } | null | undefined>>,
  own: readonly string[],
): Note['networks'] {
  const named = Object.entries(endpoints).filter(([name]) => name !== 'default' && name !== 'bridge' && name !== 'none');
  const unknown = named.find(([name]) => !own.includes(name));
  if (unknown !== undefined) {
    throw malformed(`there is no network ${visible(unknown[0]).slice(0, 100)}`);
  }
  const base = mode === 'none' ? {} : { [mode]: aliasesOf(endpoints[mode]) };
  return { ...base, ...Object.fromEntries(named.map(([name, endpoint]) => [name, aliasesOf(endpoint)])) };
}

export function aliasesOf(endpoint: { readonly Aliases?: readonly string[] | null | undefined } | null | undefined): string[] {
  const aliases = endpoint?.Aliases ?? [];
  const odd = aliases.find((alias) => !/^[a-zA-Z0-9][\w.-]{0,127}$/.test(alias));
  if (odd !== undefined || aliases.length > 32) {
    throw malformed(`${visible(odd ?? 'so many').slice(0, 100)}: not a name in a network`);
  }
  return [...aliases];
}

function publishedPorts(bindings: NonNullable<Host['PortBindings']>): readonly string[] {
  return Object.entries(bindings).map(([port, places]) => {
    const inside = withProtocol(port);
    const number = inside.split('/')[0];
    for (const { HostPort } of places ?? []) {
      if (HostPort !== undefined && HostPort !== null && HostPort !== '' && HostPort !== '0' && HostPort !== number) {
        throw notOffered(
          'confinement',
          `port ${visible(port)} cannot be published as ${visible(HostPort).slice(0, 20)}: containers and sandbox share one loopback, so every port keeps its number`,
        );
      }
    }
    return inside;
  });
}

function withProtocol(port: string): string {
  return port.includes('/') ? port : `${port}/tcp`;
}

function nameOf(query: string, body: string): string {
  const bare = (query === '' ? body : query).replace(/^\//, '');
  if (bare === '') {
    return `box-${randomBytes(5).toString('hex')}`;
  }
  if (!/^[a-zA-Z0-9][\w.-]{1,127}$/.test(bare)) {
    throw malformed(`Invalid container name (${visible(bare).slice(0, 128)})`);
  }
  return bare;
}

function variable(entry: string): string {
  if (entry.includes('\0') || entry.startsWith('=')) {
    throw malformed('a variable has a name, and no byte that no text has');
  }
  return entry;
}

function healthOf(asked: CreateBody['Healthcheck']): ContainerSpec['health'] {
  const test = asked?.Test ?? [];
  if (asked === undefined || asked === null || test.length === 0) {
    return undefined;
  }
  const { Interval, Timeout, Retries, StartPeriod } = asked;
  return { Test: test, Interval: Interval ?? 0, Timeout: Timeout ?? 0, Retries: Retries ?? 0, StartPeriod: StartPeriod ?? 0 };
}

function warningsOf({ HostConfig, User }: CreateBody): readonly string[] {
  const restart = HostConfig?.RestartPolicy?.Name ?? '';
  return [
    ...(User === undefined || User === null || User === ''
      ? []
      : ['Every container of a sandbox runs as its agent, whatever user is asked for.']),
    ...(restart === '' || restart === 'no'
      ? []
      : [`A container that ends is not started again: the restart policy ${visible(restart).slice(0, 40)} is not carried out.`]),
    ...(HostConfig?.Init === true ? ['No init process is put into a container.'] : []),
  ];
}
