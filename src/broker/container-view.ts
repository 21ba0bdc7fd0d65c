import { asObject, asText } from '../base/json.ts';
import type { Note } from './notes.ts';
import type { OwnContainer } from './own-containers.ts';

/**
 * Answers about containers, rebuilt from what the engine says so that they hold nothing of the host. Pure. All containers share
 * the sandbox's loopback, so that is their address in every network.
 */

const address = '127.0.0.1';

/** Id of a network by its name. */
export type NetworkId = (name: string) => string;

export function containerRow(
  { id, state, status, createdS, imageId, command, said }: OwnContainer,
  networkId: NetworkId,
): object {
  return {
    Id: id,
    Names: [`/${said.name}`],
    Image: said.image,
    ImageID: imageId,
    Command: command,
    Created: createdS,
    State: state,
    Status: status,
    Ports: said.published.map((port) => {
      const [number, protocol] = port.split('/');
      return { IP: '0.0.0.0', PrivatePort: Number(number), PublicPort: Number(number), Type: protocol };
    }),
    Labels: said.labels,
    SizeRw: 0,
    SizeRootFs: 0,
    HostConfig: { NetworkMode: said.networkMode },
    NetworkSettings: { Networks: networksOf(said, networkId) },
    Mounts: mountsOf(said),
  };
}

export function containerDetails(
  { id, imageId, said }: OwnContainer,
  { told, networkId }: { readonly told: unknown; readonly networkId: NetworkId },
): object {
  const answer = asObject(told);
  const [config, host] = [asObject(answer['Config']), asObject(answer['HostConfig'])];
  return {
    Id: id,
    Created: answer['Created'],
    Path: answer['Path'],
    Args: answer['Args'],
    State: stateOf(answer['State']),
    Image: imageId,
    Name: `/${said.name}`,
    RestartCount: 0,
    Driver: 'casemate',
    Platform: 'linux',
    MountLabel: '',
    ProcessLabel: '',
    AppArmorProfile: '',
    ExecIDs: null,
    HostConfig: {
      Binds: null,
      NetworkMode: said.networkMode,
      PortBindings: bindingsOf(said),
      RestartPolicy: { Name: said.restart, MaximumRetryCount: 0 },
      AutoRemove: said.autoRemove,
      LogConfig: { Type: 'json-file', Config: {} },
      Privileged: false,
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges'],
      ReadonlyRootfs: host['ReadonlyRootfs'],
      Memory: host['Memory'],
      NanoCpus: host['NanoCpus'],
      PidsLimit: host['PidsLimit'],
      ShmSize: host['ShmSize'],
    },
    GraphDriver: { Name: 'casemate', Data: {} },
    Mounts: mountsOf(said),
    Config: {
      ...Object.fromEntries(shownConfig.map((name) => [name, config[name]])),
      Hostname: said.hostname,
      Image: said.image,
      Labels: said.labels,
      ExposedPorts: Object.fromEntries(said.exposed.map((port) => [port, {}])),
    },
    NetworkSettings: {
      Bridge: '',
      SandboxID: '',
      Ports: { ...Object.fromEntries(said.exposed.map((port) => [port, null])), ...bindingsOf(said) },
      Gateway: '',
      IPAddress: address,
      IPPrefixLen: 8,
      MacAddress: '',
      Networks: networksOf(said, networkId),
    },
  };
}

const shownConfig = [
  'User',
  'AttachStdin',
  'AttachStdout',
  'AttachStderr',
  'Tty',
  'OpenStdin',
  'StdinOnce',
  'Env',
  'Cmd',
  'Healthcheck',
  'Volumes',
  'WorkingDir',
  'Entrypoint',
  'OnBuild',
  'StopSignal',
  'StopTimeout',
] as const;

export function stateOf(told: unknown): object {
  const state = asObject(told);
  const names = ['Status', 'Running', 'Paused', 'Restarting', 'OOMKilled', 'Dead', 'ExitCode', 'StartedAt', 'FinishedAt'];
  const health = state['Health'];
  return {
    ...Object.fromEntries(names.map((name) => [name, state[name]])),
    // Of the host's.
    Pid: state['Running'] === true ? 1 : 0,
    Error: withoutHostPaths(asText(state['Error'])),
    ...(health === undefined ? {} : { Health: health }),
  };
}

/** An engine's message may name folders of its own and of ours. */
export function withoutHostPaths(text: string): string {
  return text.replaceAll(/\/(?:var\/lib\/docker|run\/|var\/run\/|proc\/\d+|[^\s"':]*casemate)[^\s"':,]*/g, '…');
}

function bindingsOf({ published }: Note): Readonly<Record<string, unknown>> {
  return Object.fromEntries(published.map((port) => [port, [{ HostIp: '0.0.0.0', HostPort: port.split('/')[0] }]]));
}

function networksOf({ networks }: Note, networkId: NetworkId): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries(networks).map(([name, aliases]) => [
      name,
      {
        NetworkID: networkId(name),
        EndpointID: '',
        Gateway: '',
        IPAddress: address,
        IPPrefixLen: 8,
        MacAddress: '',
        Aliases: aliases,
      },
    ]),
  );
}

function mountsOf({ mounts, memoryFolders }: Note): readonly object[] {
  return [
    ...mounts.map(({ kind, source, target, isReadonly }) => ({
      Type: kind === 'path' ? 'bind' : 'volume',
      ...(kind === 'volume' ? { Name: source, Driver: 'local' } : {}),
      Source: kind === 'path' ? source : '',
      Destination: target,
      Mode: isReadonly ? 'ro' : 'rw',
      RW: !isReadonly,
      Propagation: '',
    })),
    ...memoryFolders.map((target) => ({ Type: 'tmpfs', Source: '', Destination: target, Mode: '', RW: true, Propagation: '' })),
  ];
}
