import { posix, resolve, relative, isAbsolute } from 'node:path';

import { visible } from '../../base/text.ts';
import { formatBytes, formatDuration } from '../../base/units.ts';
import { layoutFolders, levels, noAgent, type Asks, type Level, type Limits, type Policy } from '../policy.ts';
import type { Origin } from '../origin.ts';
import { originOf, type PolicyLayer, type ValuePath } from '../written/policy-layer.ts';
import type { WrittenPolicy } from '../written/schema.ts';
import { widens } from './widening.ts';

/** Resolves the single values of a policy: which layer's value is used, and that none is looser than one written above it. */

/** Layers by rank. Files bind those below them; the command line is the person, bound by the organisation alone. */
export interface PolicyLayers {
  readonly organisation?: PolicyLayer | undefined;
  readonly user?: PolicyLayer | undefined;
  readonly project?: PolicyLayer | undefined;
  readonly commandLine?: PolicyLayer | undefined;
}

export type Scalars = Pick<Policy, 'level' | 'engine' | 'runtime' | 'workspace' | 'limits' | 'asks' | 'origins'> & {
  readonly agent: Policy['agent'];
  /** `undefined`: none is written */
  readonly image: string | undefined;
};

export interface Scalar<T> {
  readonly path: ValuePath;
  readonly read: (layer: PolicyLayer) => T | undefined;
  /** Whether `lower` allows more than `higher`, or, for values without an order, something else. */
  readonly isLooser: (lower: T, higher: T) => boolean;
  readonly show: (value: T) => string;
  /** A choice: what the organisation writes binds, what the user writes is a default that a project may replace. */
  readonly isChoice?: true;
}

export interface Held<T> {
  readonly value: T;
  readonly origin: Origin;
}

export const byDefault: Origin = { layer: 'default', source: 'the default' };

export function filesOf({ organisation, user, project }: PolicyLayers): readonly PolicyLayer[] {
  return [organisation, user, project].filter((layer) => layer !== undefined);
}

/** Throws `POLICY_WIDENS`. `folder` is the workspace where none is written and there is no project file. */
export function resolveScalars(layers: PolicyLayers, folder: string): Scalars {
  const origins: Record<string, Origin> = {};
  function pick<T, F>(scalar: Scalar<T>, fallback: F): T | F {
    const held = resolveScalar(scalar, layers);
    origins[scalar.path.join('.')] = held?.origin ?? byDefault;
    return held?.value ?? fallback;
  }
  const chosenLevel = pick(level, 'personal');
  const named = pick(agentName, undefined);
  return {
    level: chosenLevel,
    agent: {
      name: named === noAgent ? undefined : named,
      permissions: pick(permissions, 'ask'),
      telemetry: pick(telemetry, false),
      // Where it reaches its model is said of the one that is not to be there.
      ...(named === noAgent
        ? {}
        : {
            provider: pick(agentProvider, undefined),
            region: pick(agentRegion, undefined),
            project: pick(agentProject, undefined),
          }),
    },
    image: pick(imageChoice, undefined),
    engine: pick(engine, 'oci'),
    runtime: pick(runtime, 'runc'),
    workspace: {
      path: pick(workspacePath, layers.project?.workspaceFolder ?? folder),
      mode: pick(workspaceMode, 'direct'),
      ...layoutOf(layers),
    },
    limits: pickLimits(pick),
    asks: pickAsks(pick, chosenLevel, origins),
    origins,
  };
}

/** No layer takes away what one above it asks for: one of these folders cannot be written. */
function layoutOf(layers: PolicyLayers): Pick<Policy['workspace'], 'layout'> {
  const asked = filesOf(layers).flatMap(({ written }) => written.workspace?.layout ?? []);
  return asked.length === 0 ? {} : { layout: layoutFolders.filter((name) => asked.includes(name)) };
}

/** Nobody waits at a service, and the level `maximum` gives nothing on request. */
const defaultWaitMs: Readonly<Record<Level, number>> = { personal: 60_000, team: 60_000, service: 0, maximum: 0 };

/** A project is bound by the defaults, too: they are what a person meant who wrote nothing. */
function pickAsks(
  pick: <T, F>(scalar: Scalar<T>, fallback: F) => T | F,
  chosen: Level,
  origins: Readonly<Record<string, Origin>>,
): Asks {
  const waitMs = pick(askWait, defaultWaitMs[chosen]);
  const when = pick(askWhen, 'watched');
  const fromProject = (path: string): Origin | undefined => (origins[path]?.layer === 'project' ? origins[path] : undefined);
  const wait = fromProject('asks.wait');
  if (wait !== undefined && waitMs > defaultWaitMs[chosen]) {
    throw widens(
      wait,
      byDefault,
      `asks.wait ${askWait.show(waitMs)} is more than the ${askWait.show(defaultWaitMs[chosen])} that`,
    );
  }
  const moment = fromProject('asks.when');
  if (moment !== undefined && when === 'always') {
    throw widens(moment, byDefault, 'asks.when always is more than the watched that');
  }
  return { waitMs: waitMs === 0 ? undefined : waitMs, when };
}

export const defaultLimits: Limits = {
  memoryBytes: 4 * 1024 ** 3,
  cpus: 2,
  pids: 512,
  diskBytes: 10 * 1024 ** 3,
  fileBytes: 4 * 1024 ** 3,
  openFiles: 4096,
  timeMs: undefined,
  idleMs: undefined,
};

function pickLimits(pick: <T, F>(scalar: Scalar<T>, fallback: F) => T | F): Limits {
  return {
    memoryBytes: pick(limit('memory', formatBytes), defaultLimits.memoryBytes),
    cpus: pick(limit('cpus', String), defaultLimits.cpus),
    pids: pick(limit('pids', String), defaultLimits.pids),
    diskBytes: pick(limit('disk', formatBytes), defaultLimits.diskBytes),
    fileBytes: pick(limit('fileSize', formatBytes), defaultLimits.fileBytes),
    openFiles: pick(limit('files', String), defaultLimits.openFiles),
    timeMs: pick(limit('time', formatDuration), defaultLimits.timeMs),
    idleMs: pick(limit('idle', formatDuration), defaultLimits.idleMs),
  };
}

export function resolveScalar<T>(scalar: Scalar<T>, layers: PolicyLayers): Held<T> | undefined {
  const { organisation, commandLine } = layers;
  const bound = organisation === undefined ? undefined : statedIn(scalar, organisation, undefined);
  let held: Held<T> | undefined;
  for (const layer of filesOf(layers)) {
    // The user's choice is a default; what the organisation chose binds a project, whatever stands between.
    const above = scalar.isChoice === true ? bound : held;
    const stated: Held<T> | undefined = statedIn(scalar, layer, layer === organisation ? undefined : above);
    // The same value again keeps the place where it was first allowed.
    held = stated === undefined || stated.value === held?.value ? held : stated;
  }
  return (commandLine === undefined ? undefined : statedIn(scalar, commandLine, bound)) ?? held;
}

/** What the layer writes, checked against the bound. */
function statedIn<T>(scalar: Scalar<T>, layer: PolicyLayer, bound: Held<T> | undefined): Held<T> | undefined {
  const value = scalar.read(layer);
  if (value === undefined) {
    return undefined;
  }
  const origin = originOf(layer, scalar.path);
  if (bound !== undefined && scalar.isLooser(value, bound.value)) {
    const relation = scalar.isChoice === true ? 'is not the' : 'is more than the';
    throw widens(
      origin,
      bound.origin,
      `${scalar.path.join('.')} ${scalar.show(value)} ${relation} ${scalar.show(bound.value)} that`,
    );
  }
  return { value, origin };
}

function ordered<T extends string | boolean>(
  path: ValuePath,
  read: (written: WrittenPolicy) => T | undefined,
  strictness: (value: T) => number,
): Scalar<T> {
  return {
    path,
    read: (layer) => read(layer.written),
    isLooser: (lower, higher) => strictness(lower) < strictness(higher),
    show: String,
  };
}

function limit(key: keyof NonNullable<WrittenPolicy['limits']>, show: (value: number) => string): Scalar<number> {
  return {
    path: ['limits', key],
    read: ({ written }) => written.limits?.[key],
    isLooser: (lower, higher) => lower > higher,
    show,
  };
}

function choice(path: ValuePath, read: (layer: PolicyLayer) => string | undefined): Scalar<string> {
  return { path, read, isLooser: (lower, higher) => lower !== higher, show: (value) => `"${visible(value)}"`, isChoice: true };
}

/** Each with how strict a value is: the larger the number, the less it allows. */
const level = ordered(
  ['level'],
  (written) => written.level,
  (value) => levels.indexOf(value),
);
const permissions = ordered(
  ['agent', 'permissions'],
  ({ agent }) => agent?.permissions,
  (mode) => (mode === 'ask' ? 1 : 0),
);
const telemetry = ordered(
  ['agent', 'telemetry'],
  ({ agent }) => agent?.telemetry,
  (isOn) => (isOn ? 0 : 1),
);
const engine = ordered(
  ['engine'],
  (written) => written.engine,
  (name) => (name === 'oci' ? 1 : 0),
);
const runtime = ordered(
  ['runtime'],
  (written) => written.runtime,
  (value) => (value === 'runsc' ? 1 : 0),
);
const workspaceMode = ordered(
  ['workspace', 'mode'],
  ({ workspace }) => workspace?.mode,
  (mode) => (mode === 'readonly' ? 1 : 0),
);
const askWait: Scalar<number> = {
  path: ['asks', 'wait'],
  read: ({ written }) => written.asks?.wait,
  isLooser: (lower, higher) => lower > higher,
  show: (value) => (value === 0 ? 'off' : formatDuration(value)),
};
const askWhen = ordered(
  ['asks', 'when'],
  ({ asks }) => asks?.when,
  (when) => (when === 'watched' ? 1 : 0),
);
/** None is less than any: whoever may choose no other agent may do without. */
const agentName: Scalar<string> = {
  ...choice(['agent', 'name'], (layer) => layer.written.agent?.name),
  isLooser: (lower, higher) => lower !== noAgent && lower !== higher,
};
const agentProvider = choice(['agent', 'provider'], (layer) => layer.written.agent?.provider);
const agentRegion = choice(['agent', 'region'], (layer) => layer.written.agent?.region);
const agentProject = choice(['agent', 'project'], (layer) => layer.written.agent?.project);
const imageChoice = choice(['image'], imageOf);

const workspacePath: Scalar<string> = {
  path: ['workspace', 'path'],
  read: ({ written, workspaceFolder }) =>
    written.workspace?.path === undefined ? undefined : resolve(workspaceFolder, written.workspace.path),
  isLooser: (lower, higher) => !isWithin(lower, higher),
  show: (value) => `"${visible(value)}"`,
};

/** A recipe by name stays a name; a path becomes absolute. */
function imageOf({ written, folder }: PolicyLayer): string | undefined {
  return written.image === undefined || !isRecipePath(written.image) ? written.image : resolve(folder, written.image);
}

export function isRecipePath(image: string): boolean {
  return image.includes('/') || /\.ya?ml$/.test(image);
}

export function isWithin(path: string, folder: string): boolean {
  const way = relative(folder, path);
  return way === '' || (!isAbsolute(way) && way.split(posix.sep)[0] !== '..');
}
