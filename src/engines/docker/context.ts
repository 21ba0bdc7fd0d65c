import { randomBytes } from 'node:crypto';
import { release } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';

import { askedOnce } from '../../base/asked-once.ts';
import { CasemateError } from '../../base/errors.ts';
import { isErrno, privateFolder, readTextIfPresent, writeNew } from '../../system/files.ts';
import type { Abortable, LayerReport } from '../engine.ts';
import type { EngineChoice } from '../engine-choice.ts';
import type { Machine } from '../kernel/seccomp.ts';
import { machineOf } from '../oci/host.ts';
import { oneAtATime } from '../one-at-a-time.ts';
import { engineRecords, type Records } from '../records.ts';
import type { RunningSandbox } from './running-sandbox.ts';
import { dialectOf, type Dialect } from './dialect.ts';
import { dockerClient, type DockerClient } from './docker-client.ts';
import { engineFacts, type EngineFacts } from './engine-facts.ts';
import { layersOf, requireKnownIds } from './examine.ts';
import { wayOf, type EngineWay } from './kernel/elsewhere.ts';
import { kernelPlace, type KernelPlace } from './kernel/kernel-place.ts';
import { carrierSocket, type CarrierSocket } from './place/carrier-socket.ts';
import { dial } from './place/dial.ts';
import type { Endpoint } from './place/endpoint.ts';
import type { Place } from './place/places.ts';
import { ownEffects, type OwnEffects } from './own-effects.ts';
import type { UplinkPlace } from './uplink/bodies.ts';
import { keeperPlace, type KeeperPlace } from './keeper-place.ts';

/** What every step of the engine works with. */

export interface DockerEngineOptions {
  /** private folders of ours: `state` survives a reboot, `run` need not, `images` says which image is which in the engine */
  readonly folders: { readonly state: string; readonly run: string; readonly images: string };
  /** default: `docker` */
  readonly name?: 'docker' | 'podman' | undefined;
  /** path of the engine's socket, or what says where the engine is, when it is needed */
  readonly socket: string | (() => Promise<Endpoint>);
  /** how the engine was looked for, for whoever asks what there is */
  readonly places?: (() => Promise<readonly Place[]>) | undefined;
  /** the one of them that holds the sandboxes */
  readonly choice?: (() => Promise<EngineChoice>) | undefined;
  /** whole environment of every program the engine starts */
  readonly env: Readonly<Record<string, string>>;
  readonly uid: number;
  /** of the one process that makes sandboxes here: keepers are made ahead */
  readonly prepares?: boolean | undefined;
  /** folders with the records of other engines of this installation */
  readonly beside?: readonly string[] | undefined;
  readonly arch?: string | undefined;
  /** For an engine that shares no sockets with this host. Default: listeners are handed over. */
  readonly uplink?: UplinkPlace | undefined;
  /** The engine's kernel is taken for another one than this host's, also where it is not. Default: `false` */
  readonly isElsewhere?: boolean | undefined;
}

export interface DockerContext {
  readonly options: DockerEngineOptions;
  readonly client: DockerClient;
  readonly effects: OwnEffects;
  /** what `runningSandbox` found last, by sandbox */
  readonly running: Map<string, RunningSandbox>;
  readonly keepers: KeeperPlace;
  readonly kernelPlace: KernelPlace;
  /** Whether its kernel is this host's, and how traffic comes here. Throws `ENGINE_FAILED` where it could hold no sandbox of this host. */
  readonly way: () => Promise<EngineWay>;
  readonly records: Records;
  readonly beside: readonly Records[];
  readonly exclusive: ReturnType<typeof oneAtATime>;
  readonly machine: Machine;
  readonly covers: string;
  readonly sandbox: (id: string) => SandboxFolder;
  /** label of all that this state folder has made */
  readonly mark: () => Promise<string>;
  /** whether anything was ever made from this state folder */
  readonly hasMade: () => Promise<boolean>;
  readonly dialect: () => Promise<Dialect>;
  /** path of a Unix socket that leads to the engine, for what carries commands */
  readonly carrier: () => Promise<string>;
  readonly closeCarrier: () => Promise<void>;
  /** asked once, and again with each examination */
  readonly facts: (options?: { readonly again?: boolean }) => Promise<EngineFacts>;
}

export interface SandboxFolder {
  readonly folder: string;
  /** of the files that are shown in it; with those that outlive a reboot, which an engine elsewhere is more likely to share */
  readonly shown: string;
  readonly uplink: string;
  readonly executions: string;
  readonly userFile: string;
  readonly groupFile: string;
  readonly nameFile: string;
  readonly askedFor: string;
  readonly execution: (id: string) => { readonly pid: string; readonly log: string; readonly exec: string };
}

export function dockerContext(options: DockerEngineOptions): DockerContext {
  const { folders, socket, arch = process.arch } = options;
  const machine = machineOf(arch);
  if (machine === undefined) {
    throw new CasemateError('ENGINE_FAILED', `${arch} is not supported`);
  }
  const client = dockerClient(socket, { env: options.env });
  let known: Promise<EngineFacts> | undefined;
  const carrier = askedOnce(async () => {
    const endpoint = await client.endpoint();
    return openCarrier(folders.run, () => dial(endpoint, { env: options.env }));
  });
  const context: DockerContext = {
    options,
    client,
    effects: ownEffects(),
    running: new Map(),
    keepers: keeperPlace(),
    kernelPlace: kernelPlace(),
    async way() {
      const { uplink, isElsewhere: isForced = false } = options;
      return wayOf(await context.facts(), { release: release(), machine, isForced, uplink });
    },
    records: engineRecords(join(folders.state, 'sandboxes')),
    beside: (options.beside ?? []).map(engineRecords),
    exclusive: oneAtATime(),
    machine,
    covers: join(folders.state, 'covers'),
    sandbox: (id) => sandboxFolder(join(folders.run, id), join(folders.state, 'shown', id)),
    mark: askedOnce(() => ownMark(folders.state)),
    hasMade: async () => (await readTextIfPresent(join(folders.state, 'mark'))) !== undefined,
    async facts({ again = false } = {}) {
      if (again || known === undefined) {
        const asked = engineFacts(client);
        const before = known;
        known = asked;
        // Of one that does not answer now, what runs is still looked at and ended as before.
        asked.catch(() => {
          known = known === asked ? before : known;
        });
      }
      return known;
    },
    async carrier() {
      const endpoint = await client.endpoint();
      if (endpoint.kind === 'unix') {
        return endpoint.path;
      }
      return (await carrier()).path;
    },
    closeCarrier: async () => (await carrier.known())?.close(),
    dialect: async () => dialectOf((await context.facts()).product, { client, folder: folders.state, env: options.env }),
  };
  return context;
}

/** One for each process: two can have an engine on the same folders. */
async function openCarrier(run: string, connection: () => Promise<Duplex>): Promise<CarrierSocket> {
  await privateFolder(run);
  return carrierSocket(join(run, `engine-${process.pid}.sock`), connection);
}

function sandboxFolder(folder: string, shown: string): SandboxFolder {
  return {
    folder,
    shown,
    uplink: join(folder, 'uplink'),
    executions: join(folder, 'executions'),
    userFile: join(shown, 'passwd'),
    groupFile: join(shown, 'group'),
    nameFile: join(shown, 'hostname'),
    askedFor: join(folder, 'asked-for.json'),
    execution: (id) => {
      const file = join(folder, 'executions', id);
      return { pid: `${file}.pid`, log: `${file}.log`, exec: `${file}.exec` };
    },
  };
}

/** Made once for a state folder, also when two processes begin at the same time. */
async function ownMark(state: string): Promise<string> {
  const file = join(state, 'mark');
  await privateFolder(state);
  try {
    await writeNew(file, randomBytes(16).toString('hex'));
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) {
      throw error;
    }
  }
  const mark = (await readTextIfPresent(file))?.trim() ?? '';
  if (!/^[0-9a-f]{32}$/.test(mark)) {
    throw new CasemateError('STORE_FAILED', `${file} is not valid`, {
      hint: 'Remove it when no sandbox of the docker engine is left.',
    });
  }
  return mark;
}

export async function examine(
  { facts, options, way }: DockerContext,
  runtime: string,
  { signal }: Abortable,
): Promise<readonly LayerReport[]> {
  signal?.throwIfAborted();
  const told = await facts({ again: true });
  if (options.name === 'podman' && told.product !== 'Podman') {
    throw new CasemateError('ENGINE_FAILED', `what answers in the place of Podman is ${told.product}`);
  }
  await way();
  requireKnownIds(told);
  return layersOf(told, runtime);
}
